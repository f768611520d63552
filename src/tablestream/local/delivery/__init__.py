"""Lambda's rules for one shard of a DynamoDB stream, without I/O; docs/delivery-rules.md lists them."""
