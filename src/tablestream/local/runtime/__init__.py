"""A small Lambda runtime: child processes that run handlers, with Lambda's limits and its Invoke API."""
