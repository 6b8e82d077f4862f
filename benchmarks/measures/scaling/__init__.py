"""How speed depends on the number of workers and on the sizes of arrays and chunks."""
