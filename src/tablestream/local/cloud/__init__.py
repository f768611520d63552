"""The stack of a template in an embedded AWS."""
