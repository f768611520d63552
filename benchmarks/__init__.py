"""Benchmarks: the worker beside what people use today, measured in turn in one run. `make bench` writes the page."""
