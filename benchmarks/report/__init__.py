"""The machine, targets, and tables on the screen and in Markdown."""
