"""One chunk, wherever it is kept: its options, index, selections and byte ranges."""
