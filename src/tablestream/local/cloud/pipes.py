"""Pipes of EventBridge from the stream of a table to a function: a mapping, whose function gets the records as a list.

What a pipe reads, when it tries again and what it sets aside is that of an event source mapping (EventBridge user
guide, "Amazon DynamoDB stream as a source"). An enrichment is a function that gets the list and returns what the target
gets; where that is empty the target is not invoked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tablestream.local.cloud.versions import FUNCTION, MAPPING, stream_of
from tablestream.local.delivery.protocol import Answered
from tablestream.local.runtime.function import Invocation
from tablestream.local.template.gaps import ENRICHMENTS, INPUT_TEMPLATES, PIPES
from tablestream.local.template.references import referred

Json = Any  # what a template or an event holds
PIPE = "AWS::Pipes::Pipe"
_SETTINGS = (
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "StartingPosition",
)


def take_pipes(resources: dict[str, Any], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Take the pipes from streams to functions out of a template; return each as a mapping, by logical id.

    A mapping of a pipe has a member `Pipe`. What of a pipe is not done here gets a note, and a pipe to or from
    something else stays where it is.
    """
    taken: dict[str, dict[str, Any]] = {}
    for name, resource in [(name, one) for name, one in resources.items() if one.get("Type") == PIPE]:
        properties = resource.get("Properties") or {}
        enrichment = properties.get("Enrichment")
        if stream_of(properties.get("Source")) is None or not _is_function(properties.get("Target"), resources):
            notes.append(PIPES.of(f"{name} ({PIPE})"))
        elif enrichment is not None and not _is_function(enrichment, resources):
            notes.append(ENRICHMENTS.of(f"{name} ({PIPE})"))
        else:
            taken[name] = _mapping(resource, properties)
            if _transforms(properties):
                notes.append(INPUT_TEMPLATES.of(name))
            del resources[name]
    return taken


def through_pipe(
    event: Json, target: Callable[[Json], Invocation], enrich: Callable[[Json], Invocation] | None
) -> Invocation:
    """Invoke the target of a pipe with the records of an event, or with what the enrichment makes of them."""
    if enrich is None:
        return target(event["Records"])
    enriched = enrich(event["Records"])
    if not isinstance(enriched.outcome, Answered) or not enriched.payload:
        return enriched
    return target(enriched.payload)


def _mapping(pipe: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    source = properties.get("SourceParameters") or {}
    asked = source.get("DynamoDBStreamParameters") or {}
    settings = {name: asked[name] for name in _SETTINGS if name in asked}
    if asked.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT":
        settings["BisectBatchOnFunctionError"] = True
    if "DeadLetterConfig" in asked:
        settings["DestinationConfig"] = {"OnFailure": {"Destination": asked["DeadLetterConfig"].get("Arn")}}
    if "FilterCriteria" in source:
        settings["FilterCriteria"] = source["FilterCriteria"]
    if properties.get("DesiredState") == "STOPPED":
        settings["Enabled"] = False
    kept = {key: pipe[key] for key in ("Condition",) if key in pipe}
    return {
        "Type": MAPPING,
        "Properties": {
            "EventSourceArn": properties["Source"],
            "FunctionName": properties["Target"],
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            **settings,
        },
        "Pipe": {"Enrichment": referred(properties.get("Enrichment"))},
        **kept,
    }


def _is_function(target: Json, resources: Mapping[str, Any]) -> bool:
    return bool(resources.get(referred(target) or "", {}).get("Type") == FUNCTION)


def _transforms(properties: Mapping[str, Any]) -> bool:
    return any("InputTemplate" in (properties.get(f"{part}Parameters") or {}) for part in ("Target", "Enrichment"))
