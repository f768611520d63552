"""HTTP functions that do the same: ours, and those that somebody writes who follows a tutorial."""
