"""The engine: from the event to the answer. Private: `tablestream.Worker` is its face."""
