"""The command line: `up` and what other terminals ask of it."""
