"""Tables and event source mappings as a template declares them: what AWS would refuse of them, before they are made.

The embedded AWS takes any text for a setting, and leaves out what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from tablestream.local.cloud.unsupported import GLOBAL_TABLE, TABLE
from tablestream.local.cloud.versions import MAPPING, stream_of
from tablestream.local.errors import TemplateError
from tablestream.local.template.nested import known_text
from tablestream.local.template.parameters import STAND_IN

if TYPE_CHECKING:
    from tablestream.local.template.source import Template

Json = Any  # what a template holds
Shape = Mapping[str, Any]
"""The properties of an object, each with its own shape, the values that it may have, or nothing if these are many."""
CLOSE = 0.85  # of 1: two names so alike are one name with a slip in it
_TABLES = (TABLE, GLOBAL_TABLE)
_INDEXES = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")


def _any(names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), ())


_VIEWS = ("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")
_KEY: Shape = {"AttributeName": (), "KeyType": ("HASH", "RANGE")}
_INDEX: Shape = {
    "IndexName": (),
    "KeySchema": _KEY,
    "Projection": {"NonKeyAttributes": (), "ProjectionType": ("ALL", "INCLUDE", "KEYS_ONLY")},
}
_THROUGHPUT = {"ProvisionedThroughput": _any("ReadCapacityUnits WriteCapacityUnits")}
_OF_BOTH: Shape = {
    "AttributeDefinitions": {"AttributeName": (), "AttributeType": ("S", "N", "B")},
    "BillingMode": ("PAY_PER_REQUEST", "PROVISIONED"),
    "KeySchema": _KEY,
    "LocalSecondaryIndexes": _INDEX,
    "StreamSpecification": {"StreamViewType": _VIEWS, **_any("ResourcePolicy Tags")},
    "TimeToLiveSpecification": _any("AttributeName Enabled"),
    **_any("SSESpecification TableName VectorIndexes WarmThroughput"),
}
SHAPES: Mapping[str, Shape] = {
    TABLE: {
        **_OF_BOTH,
        **_THROUGHPUT,
        "GlobalSecondaryIndexes": {
            **_INDEX,
            **_THROUGHPUT,
            **_any("ContributorInsightsSpecification OnDemandThroughput WarmThroughput"),
        },
        "TableClass": ("STANDARD", "STANDARD_INFREQUENT_ACCESS"),
        **_any("ContributorInsightsSpecification DeletionProtectionEnabled ImportSourceSpecification"),
        **_any("KinesisStreamSpecification OnDemandThroughput PointInTimeRecoverySpecification ResourcePolicy Tags"),
    },
    GLOBAL_TABLE: {
        **_OF_BOTH,
        "GlobalSecondaryIndexes": {
            **_INDEX,
            **_any("ReadOnDemandThroughputSettings ReadProvisionedThroughputSettings WarmThroughput"),
            **_any("WriteOnDemandThroughputSettings WriteProvisionedThroughputSettings"),
        },
        **_any("GlobalTableSourceArn GlobalTableWitnesses MultiRegionConsistency Replicas TableType"),
        **_any("ReadOnDemandThroughputSettings ReadProvisionedThroughputSettings"),
        **_any("WriteOnDemandThroughputSettings WriteProvisionedThroughputSettings"),
    },
    MAPPING: {
        "DestinationConfig": {"OnFailure": _any("Destination")},
        "FilterCriteria": {"Filters": _any("Pattern")},
        **_any("BatchSize BisectBatchOnFunctionError Enabled EventSourceArn FunctionName FunctionResponseTypes"),
        **_any("MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds MaximumRetryAttempts ParallelizationFactor"),
        **_any("StartingPosition StartingPositionTimestamp Tags TumblingWindowInSeconds KmsKeyArn LoggingConfig"),
        **_any("AmazonManagedKafkaEventSourceConfig DocumentDBEventSourceConfig ProvisionedPollerConfig Queues"),
        **_any("ScalingConfig SelfManagedEventSource SelfManagedKafkaEventSourceConfig SourceAccessConfigurations"),
        **_any("MetricsConfig Topics"),
    },
}
"""The properties that decide here. (I) The lists are those of CloudFormation in 2026."""


class Complaint(NamedTuple):
    """A sentence about a resource, and the text in the template that it is about; AWS may know what is only doubted."""

    told: str
    text: str
    doubted: bool = False


def refuse_misdeclared(resources: Mapping[str, Json], values: Mapping[str, str], source: Template) -> list[str]:
    """Raise TemplateError for a table or a mapping that AWS would refuse; return notes on what only may be wrong.

    `values` are those of the template's parameters. What only the stack knows is not looked at.
    """
    notes: list[str] = []
    for name, resource in resources.items():
        for one in _complaints(resource, values):
            place = source.place_of("Resources", name, one.text)
            told = f"{place}: {name}{one.told}" if place else f"{name}{one.told}"
            if not one.doubted:
                raise TemplateError(told)
            notes.append(told)
    return notes


def _complaints(resource: Json, values: Mapping[str, str]) -> Iterator[Complaint]:
    kind, properties = resource.get("Type"), resource.get("Properties") or {}
    if kind not in SHAPES or _is_function(properties):
        return
    yield from _shaped(properties, SHAPES[kind], values)
    if kind in _TABLES:
        yield from _without_view(properties)
        yield from _undefined(properties, values)


def _shaped(value: Json, shape: Shape, values: Mapping[str, str], path: str = "") -> Iterator[Complaint]:
    """Yield complaints about an object, or about those in a list."""
    for entry in value if isinstance(value, list) else ():
        yield from _shaped(entry, shape, values, path)
    if not isinstance(value, dict) or _is_function(value):
        return
    for key, entry in value.items():
        inner = shape.get(key)
        at = f"{path}.{key}" if path else str(key)
        if inner is None:
            yield _unknown(str(key), shape, path)
        elif isinstance(inner, Mapping):
            yield from _shaped(entry, inner, values, at)
        elif inner and (text := known_text(entry, values)) is not None and text not in inner and STAND_IN not in text:
            yield Complaint(f": {at} is {text!r}: wanted one of {', '.join(inner)}", text)


def _unknown(key: str, shape: Shape, path: str) -> Complaint:
    told = f"'s {path} has no property {key}" if path else f" has no property {key}"
    if close := get_close_matches(key, shape, 1, CLOSE) or [one for one in shape if one.lower() == key.lower()]:
        return Complaint(f"{told}: did you mean {close[0]}?", key)
    return Complaint(f"{told} that is known here: it does nothing, and AWS may refuse it", key, doubted=True)


def _without_view(properties: Mapping[str, Json]) -> Iterator[Complaint]:
    stream = properties.get("StreamSpecification")
    if isinstance(stream, dict) and not _is_function(stream) and "StreamViewType" not in stream:
        wanted = f"wanted one of {', '.join(_VIEWS)}"
        yield Complaint(f": StreamSpecification has no StreamViewType: {wanted}", "StreamSpecification")


def _undefined(properties: Mapping[str, Json], values: Mapping[str, str]) -> Iterator[Complaint]:
    """Attributes of keys that are not defined, and definitions of attributes that are in no key."""
    if not properties.get("KeySchema"):
        yield Complaint(": it has no KeySchema: wanted the attributes of its key", "Properties")
        return
    defined = _attributes(properties.get("AttributeDefinitions") or [], values)
    keys = {"KeySchema": _attributes(properties["KeySchema"], values)}
    for kind in _INDEXES:
        keys |= {f"{kind}.{place}": of for place, of in _index_keys(properties.get(kind) or [], values)}
    if defined is None:
        return
    for place, attributes in keys.items():
        for one in attributes or ():
            if one not in defined:
                told = f": {place} has the attribute {one}, which AttributeDefinitions have not"
                yield Complaint(f"{told}: they have {', '.join(defined) or 'none'}", one)
    if None in keys.values() or set(properties) - set(SHAPES[TABLE]) or "VectorIndexes" in properties:
        return
    used = {one for attributes in keys.values() for one in attributes or ()}
    for one in defined:
        if one not in used:
            told = f": AttributeDefinitions have {one}, which is in no key: wanted the attributes of keys only"
            yield Complaint(told, one)


def _attributes(listed: Json, values: Mapping[str, str]) -> list[str] | None:
    """The names of attributes in a list; None where only the stack knows one."""
    if not isinstance(listed, list):
        return None
    names = [known_text(one.get("AttributeName"), values) if isinstance(one, dict) else None for one in listed]
    return None if None in names else [str(one) for one in names]


def _index_keys(indexes: Json, values: Mapping[str, str]) -> Iterator[tuple[str, list[str] | None]]:
    if not isinstance(indexes, list):
        yield "", None
        return
    for number, one in enumerate(indexes):
        is_plain = isinstance(one, dict) and not _is_function(one)
        name = (known_text(one.get("IndexName"), values) if is_plain else None) or str(number)
        yield f"{name}.KeySchema", _attributes(one.get("KeySchema"), values) if is_plain else None


def _is_function(value: Json) -> bool:
    return isinstance(value, dict) and any(str(key) == "Ref" or str(key).startswith("Fn::") for key in value)


def refuse_tables_without_stream(mappings: Mapping[str, Json], resources: Mapping[str, Json]) -> None:
    """Raise TemplateError for a mapping that reads the stream of something that has none."""
    for name, mapping in mappings.items():
        table = stream_of((mapping.get("Properties") or {}).get("EventSourceArn"))
        if table is None or table not in resources:
            continue
        kind, properties = resources[table]["Type"], resources[table].get("Properties") or {}
        wanted = f"{name} reads the stream of {table}, which has none: wanted a"
        if not kind.startswith(_TABLES):
            raise TemplateError(f"{wanted} table with a StreamSpecification, got {kind}")
        if "StreamSpecification" not in properties:
            raise TemplateError(f"{wanted} StreamSpecification there, with a StreamViewType")
