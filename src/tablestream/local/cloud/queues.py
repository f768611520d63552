"""Queues and topics of a stack that invoke its functions, and queues that get what topics get."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import SNSBackend, sns_backends
from moto.sqs.models import sqs_backends

from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.functions import invoked
from tablestream.local.delivery.filters import FilterSet, InvalidFilterPattern
from tablestream.local.errors import TemplateError, reading
from tablestream.local.trigger.queue import MOST_RECEIVED, QueueMapping

if TYPE_CHECKING:
    from tablestream.local.runtime.function import FunctionSpec

Json = Any  # what a template holds
_OF_SUBSCRIPTION = ("FilterPolicyScope", "FilterPolicy")
_OWN_QUEUE = "tablestream-"


def read_queues(
    mappings: Mapping[str, Json], functions: Mapping[str, FunctionSpec], resolve: Callable[[Json], Json]
) -> tuple[list[QueueMapping], list[str]]:
    """The event source mappings of queues, and a note for each whose function cannot run here."""
    found: list[QueueMapping] = []
    notes: list[str] = []
    for name, resource in mappings.items():
        properties = resolve(resource["Properties"])
        target = invoked(str(properties.get("FunctionName")), functions)
        if target is None:
            notes.append(f"{name} invokes no function that can run here")
            continue
        patterns = [str(one.get("Pattern")) for one in (properties.get("FilterCriteria") or {}).get("Filters", [])]
        try:
            filters = FilterSet.compile(patterns)
        except InvalidFilterPattern as error:
            raise TemplateError(f"{name}: {error}") from error
        found.append(
            QueueMapping(
                name,
                target[0],
                str(properties["EventSourceArn"]),
                target[1],
                int(properties.get("BatchSize", MOST_RECEIVED)),
                "ReportBatchItemFailures" in (properties.get("FunctionResponseTypes") or []),
                filters,
            )
        )
    return found, notes


def subscribe(
    subscriptions: Mapping[str, Json], functions: Mapping[str, FunctionSpec], resolve: Callable[[Json], Json]
) -> tuple[list[QueueMapping], list[str]]:
    """Subscribe queues and functions to topics, as moto's CloudFormation does not.

    Returns what functions are invoked by, and a note for each other subscription. A function is reached by a queue of
    our own.
    """
    backend = sns_backends[DEFAULT_ACCOUNT_ID][REGION]
    found: list[QueueMapping] = []
    notes: list[str] = []
    for name, resource in subscriptions.items():
        properties = resolve(resource["Properties"])
        topic, protocol, endpoint = (str(properties.get(key)) for key in ("TopicArn", "Protocol", "Endpoint"))
        target = invoked(endpoint, functions) if protocol == "lambda" else None
        with reading(f"the subscription {name}"):
            if protocol == "sqs" and ":sqs:" in endpoint and ":sns:" in topic:
                _attach(backend, topic, endpoint, properties, name, raw=properties.get("RawMessageDelivery"))
            elif target is not None and ":sns:" in topic:
                queue = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].create_queue(f"{_OWN_QUEUE}{name}"[:80], {})
                arn = _attach(backend, topic, queue.queue_arn, properties, name, raw=None)
                where = topic.rpartition(":")[2]
                found.append(QueueMapping(name, target[0], queue.queue_arn, target[1], subscription=arn, topic=where))
            else:
                notes.append(f"{name}: nothing that {topic} gets is sent on to {endpoint} ({protocol})")
    return found, notes


def _attach(
    backend: SNSBackend, topic: str, queue: str, properties: Mapping[str, Json], name: str, *, raw: Json
) -> str:
    """Subscribe a queue to a topic; return the subscription's ARN."""
    try:
        subscription = backend.subscribe(topic, queue, "sqs")
        settings = {**{key: properties.get(key) for key in _OF_SUBSCRIPTION}, "RawMessageDelivery": raw}
        for key, value in settings.items():
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value)
                backend.set_subscription_attributes(subscription.arn, key, text)
    except ServiceException as error:
        raise TemplateError(f"the subscription {name}: {error.message}") from error
    return str(subscription.arn)
