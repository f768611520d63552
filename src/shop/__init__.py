"""A shop on tablestream: orders in a DynamoDB table move stock and announce themselves.

Start with `handlers`, which say what each change of an order leads to; `stock` carries out what moves stock.
"""
