"""How work is done: threads, jobs, memory, progress, optional packages. Nothing of FLAC."""
