"""Runs a SAM application's DynamoDB stream functions on this machine. Never deployed."""
