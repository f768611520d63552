"""Rulers of the code: how it is laid out, and the way of a record through it."""
