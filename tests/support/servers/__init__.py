"""Servers on this machine, as fixtures: ``pytest_plugins = ["support.servers.nginx"]``."""
