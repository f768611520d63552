"""The table with a stream that the templates of tests have, as a resource in YAML."""

from __future__ import annotations

THINGS = """
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
"""
"""To be put behind `Resources:`; its key is `id`, a string."""
