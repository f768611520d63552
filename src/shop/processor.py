"""The entry point, `shop.processor.handler`. All that can be made once is made when this is imported."""

# ruff: noqa: E402, F401 -- the collector is switched off before what it would look through is imported

from __future__ import annotations

import gc

# Until all is made: next to nothing of it is garbage, and looking through it over and over takes a twelfth of a start.
gc.disable()

import os
from typing import TYPE_CHECKING

# First, near the top of the stack: regular expressions are compiled on the way, and that takes 20 ms more where it
# crosses a border of Python's memory for frames over and over, as it may deep below other modules.
import urllib3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from shop.worker import make_worker
from tablestream.aws import Aws, quiet_collector, stay_on_one_core, trace_calls
from tablestream.metrics import Recorder
from tablestream.run import SystemClock

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from tablestream._engine.invocation import Response

_aws = Aws(os.environ)
if _aws.is_sam_local:
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")  # nobody reads them there

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tablestream-shop")
_logger = Logger(service=_SERVICE)
copy_config_to_registered_loggers(_logger, include={"tablestream"})
_metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Tablestream"), service=_SERVICE)
_recorder = Recorder(_metrics, SystemClock())

_worker = make_worker(
    _aws, observe=_recorder.report, observe_inventory=lambda counts: _recorder.add(counts.by_metric())
)
_answer = _worker.handler(_aws)

trace_calls(os.environ)
quiet_collector()
stay_on_one_core(os.environ)
gc.enable()


def handler(event: object, context: LambdaContext) -> Response:
    """Process a batch of table changes and return the partial batch response."""
    _logger.set_correlation_id(context.aws_request_id)
    try:
        return _answer(event, context)
    finally:
        _recorder.flush()
