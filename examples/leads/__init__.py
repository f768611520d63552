"""A worker for a table of one's own: it tells the sales team of new leads, and of those that get another owner."""
