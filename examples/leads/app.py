"""The Lambda function `examples.leads.app.handler`; in a file of its own, so that tests import handlers without AWS."""

from __future__ import annotations

from examples.leads.handlers import worker

handler = worker.handler()  # LEADS_TABLE, SALES_TOPIC_ARN, JOURNAL_TABLE and FAILURES_BUCKET come from the environment
