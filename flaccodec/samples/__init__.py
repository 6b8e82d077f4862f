"""Numbers as users have them: masks, marks of missing samples, grids, blocks of an array."""
