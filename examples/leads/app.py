"""The Lambda function `examples.leads.app.handler`."""

from __future__ import annotations

from examples.leads.handlers import worker

handler = worker.handler()  # JOURNAL_TABLE and FAILURES_BUCKET come from the environment
