"""DynamoDB without streams, HTTP or a shop: clients, items, batches, transactions, decisions made once, the journal."""
