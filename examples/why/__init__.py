"""The handler that most people write for a DynamoDB stream, in its two forms, and the same with tablestream.

All three write a mail to the customer when an order is placed and when its status changes. docs/why.md tells what comes
of each.
"""
