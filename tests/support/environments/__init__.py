"""Environments that tests make once and keep between runs, and what makes them."""
