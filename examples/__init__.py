"""Small programs that use tablestream. Each is run by a test in `tests/examples`."""
