"""The operator's tools: `python -m tablestream.ops redrive` and `python -m tablestream.ops replay`. Never deployed."""
