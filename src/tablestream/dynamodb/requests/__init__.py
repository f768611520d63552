"""The parts of a request: arguments that are checked, values with their type tags, expressions."""
