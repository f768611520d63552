"""Serves the HTTP APIs of a template at ports of this machine: requests become invocations of its functions."""
