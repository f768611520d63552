"""An event source mapping's settings: defaults, limits, and how a template spells them.

Rules 1, 2, 3 and 23 of docs/delivery-rules.md. Limits and defaults are documented (D); the backoff is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from tablestream.local.delivery.filters import FilterSet, never_matching

StartingPosition = Literal["TRIM_HORIZON", "LATEST"]


class InvalidSettings(ValueError):
    """A setting is missing, out of its limits, or not possible for a DynamoDB stream."""


class DestinationKind(StrEnum):
    """The services that can receive on-failure records of a stream."""

    SQS = "SQS"
    SNS = "SNS"
    S3 = "S3"


@dataclass(frozen=True, slots=True)
class Destination:
    """The queue, topic or bucket that receives on-failure records."""

    kind: DestinationKind
    arn: str


@dataclass(frozen=True, slots=True)
class RetryDelay:
    """Seconds to wait before the next attempt. AWS does not document its backoff (rule 23): this one is ours.

    Called with the number of failures in a row that made no progress, 1 or more: `first`, then each time `factor` as
    much, at most `longest` seconds.
    """

    first: float = 0.5
    factor: float = 2.0
    longest: float = 60.0

    def __call__(self, failures: int) -> float:
        """Seconds to wait after the given number of consecutive failures."""
        # The exponent is bounded so that a batch retried for hours cannot overflow a float.
        exponent = min(max(failures - 1, 0), 64)
        return float(min(self.first * self.factor**exponent, self.longest))


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """The settings of one event source mapping on a DynamoDB stream. Times are in seconds; -1 means no limit.

    Raises InvalidSettings when a value is outside the service's limits, InvalidFilterPattern for a bad filter.
    `window_grace` is how long a tumbling window waits for late records after its end (D: "up to 2 minutes").
    `retention` is how long the stream keeps a record (rule 36, D).
    `notes` are things the template says that change nothing locally, or need attention in AWS.
    """

    batch_size: int = 100
    batching_window: float = 0
    parallelization: int = 1
    max_retries: int = -1
    max_age: float = -1
    bisect: bool = False
    report_failures: bool = False
    tumbling_window: float = 0
    filters: tuple[str, ...] = ()
    starting_position: StartingPosition = "TRIM_HORIZON"
    function_timeout: float = 3.0
    destination: Destination | None = None
    backoff: Callable[[int], float] = field(default_factory=RetryDelay)
    window_grace: float = 120.0
    retention: float = 86_400.0
    enabled: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every limit of rule 1."""
        for name, spelled, lowest, highest in _LIMITS:
            _within(spelled, getattr(self, name), lowest, highest)
        if self.max_age != -1:
            _within("MaximumRecordAgeInSeconds", self.max_age, 60, 604_800)
        if self.tumbling_window and self.parallelization > 1:
            raise InvalidSettings(
                f"TumblingWindowInSeconds is {self.tumbling_window!r} with a ParallelizationFactor of "
                f"{self.parallelization}; a tumbling window wants a factor of 1"
            )
        _check_position(self.starting_position)
        _check_filters(self.filters)


_LIMITS = (
    ("batch_size", "BatchSize", 1, 10_000),
    ("batching_window", "MaximumBatchingWindowInSeconds", 0, 300),
    ("parallelization", "ParallelizationFactor", 1, 10),
    ("max_retries", "MaximumRetryAttempts", -1, 10_000),
    ("tumbling_window", "TumblingWindowInSeconds", 0, 900),
    ("function_timeout", "Timeout", 0, 900),
)
MOST_FILTERS = 10
DEFAULT_FILTER_QUOTA = 5
LONGEST_PATTERN = 4096


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        alternative = " or -1 (no limit)" if name == "MaximumRecordAgeInSeconds" else ""
        raise InvalidSettings(f"{name} is {value!r}; wanted {lowest} to {highest}{alternative}")


def _check_position(position: str) -> None:
    if position not in ("TRIM_HORIZON", "LATEST"):
        raise InvalidSettings(f"StartingPosition is {position!r}; a DynamoDB stream takes TRIM_HORIZON or LATEST")


def _check_filters(patterns: Sequence[str]) -> None:
    if len(patterns) > MOST_FILTERS:
        raise InvalidSettings(f"{len(patterns)} filters; at most {DEFAULT_FILTER_QUOTA}, or {MOST_FILTERS} by quota")
    for pattern in patterns:
        if len(pattern) > LONGEST_PATTERN:
            raise InvalidSettings(f"a filter pattern has {len(pattern)} characters; at most {LONGEST_PATTERN}")
    FilterSet.compile(patterns)


def read_mapping(properties: Mapping[str, Any], *, function_timeout: float = 3.0) -> MappingSettings:
    """Settings from a SAM `DynamoDB` event's Properties, or from those of an AWS::Lambda::EventSourceMapping.

    Intrinsic functions (`Ref`, `Fn::GetAtt`, ...) must have been resolved. `function_timeout` is the function's
    `Timeout` in seconds. Raises InvalidSettings, which names what came and what was wanted.
    """
    _refuse_unknown(properties)
    values: dict[str, Any] = {
        name: convert(spelled, properties[spelled])
        for spelled, (name, convert) in _PROPERTIES.items()
        if properties.get(spelled) is not None
    }
    settings = MappingSettings(**values, function_timeout=function_timeout)
    return replace(settings, notes=tuple(_notes(properties, settings)))


def _refuse_unknown(properties: Mapping[str, Any]) -> None:
    if not (properties.get("Stream") or properties.get("EventSourceArn")):
        raise InvalidSettings(
            "Stream (EventSourceArn in CloudFormation) is missing: wanted the ARN of a table's stream"
        )
    if not properties.get("StartingPosition"):
        raise InvalidSettings("StartingPosition is missing: wanted TRIM_HORIZON or LATEST")
    unknown = sorted(set(properties) - set(_PROPERTIES) - _ELSEWHERE - set(_WITHOUT_EFFECT))
    if unknown:
        raise InvalidSettings(f"not a setting of a DynamoDB stream: {', '.join(unknown)}")


def _notes(properties: Mapping[str, Any], settings: MappingSettings) -> list[str]:
    notes = [f"{name} {effect}" for name, effect in _WITHOUT_EFFECT.items() if name in properties]
    count = len(settings.filters)
    if count > DEFAULT_FILTER_QUOTA:
        notes.append(f"FilterCriteria has {count} filters: AWS takes {DEFAULT_FILTER_QUOTA} unless the quota is raised")
    doubts = [doubt for pattern in settings.filters for doubt in never_matching(pattern)]
    return notes + [f"FilterCriteria: {doubt}" for doubt in doubts]


def _whole(name: str, value: object) -> int:
    # Template parameters arrive as text, whatever their type.
    text = str(value).strip()
    if isinstance(value, bool) or not text.removeprefix("-").isdigit():
        raise InvalidSettings(f"{name} is {value!r}; wanted a whole number")
    return int(text)


def _flag(name: str, value: object) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise InvalidSettings(f"{name} is {value!r}; wanted true or false")
    return str(value).lower() == "true"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidSettings(f"{name} is {value!r}; wanted text")
    return value


def _reports(name: str, value: object) -> bool:
    types = value if isinstance(value, list) else [value]
    if any(entry != "ReportBatchItemFailures" for entry in types):
        raise InvalidSettings(f"{name} is {value!r}; the only type is ReportBatchItemFailures")
    return bool(types)


def _patterns(name: str, value: object) -> tuple[str, ...]:
    filters = value.get("Filters", []) if isinstance(value, Mapping) else None
    if not isinstance(filters, list) or not all(isinstance(entry, Mapping) for entry in filters):
        raise InvalidSettings(f"{name} is {value!r}; wanted {{Filters: [{{Pattern: text}}]}}")
    return tuple(_text(f"{name}.Filters.Pattern", entry.get("Pattern")) for entry in filters)


def _destination(name: str, value: object) -> Destination | None:
    if not isinstance(value, Mapping) or set(value) - {"OnFailure"}:
        raise InvalidSettings(f"{name} is {value!r}; a stream has OnFailure only")
    on_failure = value.get("OnFailure") or {}
    if not isinstance(on_failure, Mapping):
        raise InvalidSettings(f"{name}.OnFailure is {on_failure!r}; wanted an object with Destination")
    if not on_failure:
        return None
    arn = _text(f"{name}.OnFailure.Destination", on_failure.get("Destination"))
    return Destination(_kind(arn, on_failure.get("Type")), arn)


def _kind(arn: str, declared: object) -> DestinationKind:
    """`Type` exists in SAM only; CloudFormation tells by the ARN (rule 2, D)."""
    service = next((kind for kind in DestinationKind if arn.split(":")[2:3] == [kind.lower()]), None)
    if service is None:
        raise InvalidSettings(
            f"OnFailure.Destination is {arn!r}; wanted the ARN of an SQS queue, SNS topic or S3 bucket"
        )
    if arn.endswith(".fifo"):
        raise InvalidSettings(
            f"OnFailure.Destination is {arn!r}, a FIFO queue or topic; a stream's messages go to a standard one"
        )
    if declared is not None and declared != service:
        raise InvalidSettings(f"OnFailure.Type is {declared!r}, but its Destination is the ARN of {service}")
    return service


_PROPERTIES: Mapping[str, tuple[str, Callable[[str, Any], Any]]] = {
    "BatchSize": ("batch_size", _whole),
    "MaximumBatchingWindowInSeconds": ("batching_window", _whole),
    "ParallelizationFactor": ("parallelization", _whole),
    "MaximumRetryAttempts": ("max_retries", _whole),
    "MaximumRecordAgeInSeconds": ("max_age", _whole),
    "BisectBatchOnFunctionError": ("bisect", _flag),
    "FunctionResponseTypes": ("report_failures", _reports),
    "TumblingWindowInSeconds": ("tumbling_window", _whole),
    "FilterCriteria": ("filters", _patterns),
    "StartingPosition": ("starting_position", _text),
    "DestinationConfig": ("destination", _destination),
    "Enabled": ("enabled", _flag),
}
_ELSEWHERE = frozenset({"Stream", "EventSourceArn", "FunctionName"})
_WITHOUT_EFFECT: Mapping[str, str] = {
    "KmsKeyArn": "has no effect locally: filters are not encrypted",
    "MetricsConfig": "has no effect locally: no metrics are published",
    "Tags": "has no effect locally",
}
