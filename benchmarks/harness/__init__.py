"""How things are timed and checked, and how they run in another process."""
