"""The chunks of a dataset: where they are, and what they hold."""
