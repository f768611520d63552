"""The trigger of an event source mapping: reads the stream, invokes the function, sends on-failure records."""
