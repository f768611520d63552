"""Ways to change items under a lock, which count in one item."""
