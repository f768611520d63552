"""The operator's tools: `python -m ops redrive` and `python -m ops replay`. Never deployed."""
