"""The list of all that is not done here, by name and with the reason, for the start and for `--coverage`.

What is said of a resource when a stack is made comes from here too, so that the two never differ.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple

_WIDTH = 80


class Gap(NamedTuple):
    """Something that is not done here.

    `said` is what is said of a resource that wants it, behind its name; empty where nothing is said at the start.
    """

    name: str
    reason: str
    said: str = ""

    def of(self, resource: str) -> str:
        """Return the note on a resource."""
        return f"{resource} {self.said}: {self.reason}"


TRIGGERS = Gap(
    "schedules, buckets and buses that invoke functions",
    "only streams, queues, topics and APIs do",
    "invokes no function here",
)
SOURCES = Gap(
    "Kinesis, Kafka and other sources of events",
    "only DynamoDB streams and queues are delivered here",
    "is not delivered",
)
LAYERS = Gap(
    "layers of another stack, or of a bucket",
    "what they hold must be installed where this runs",
    "is not in this project",
)
FILE_SYSTEMS = Gap(
    "file systems",
    "a function runs as a process of this machine, with its files",
    "is not mounted",
)
AUTHORIZERS = Gap(
    "IAM permissions and authorizers",
    "every call is let through",
    "is open here",
)
PIPES = Gap(
    "EventBridge Pipes from other sources than streams, to other targets than functions",
    "only those from a table's stream to a function are",
    "is not run",
)
ENRICHMENTS = Gap(
    "EventBridge Pipes whose enrichment is no function",
    "wanted a function of this template as its enrichment",
    "is not run",
)
INPUT_TEMPLATES = Gap(
    "transformed input of EventBridge Pipes (InputTemplate)",
    "the function gets the records",
    "has its input as it is",
)
SUBSCRIPTIONS = Gap(
    "subscriptions by e-mail, HTTP and the like",
    "only queues and functions of the template get what a topic gets",
    "is sent nothing",
)
NESTED_STACKS = Gap(
    "nested stacks from a bucket or a repository of applications",
    "nothing of it is there, and its outputs get text in their place",
    "is no file",
)
EXPORTS = Gap("exports of other stacks", "not known here, --import NAME=VALUE gives one")
VALUES = Gap("parameters and secrets that a template refers to", "not known here, --parameter and --resolve give them")
REPLICAS = Gap(
    "replicas of global tables",
    "nothing is replicated, there is one region, whatever a call is signed for",
    "is one table here",
)
DESTINATIONS = Gap(
    "on-failure destinations of types that are not emulated",
    "what is given up is lost",
    "has an on-failure destination that is not emulated",
)
GAPS = (
    Gap("functions in other languages than Python and JavaScript", "they have no runtime here; left out, and named"),
    Gap("image functions (ImageUri)", "they need Docker; `sam local invoke` runs them against this AWS"),
    LAYERS,
    FILE_SYSTEMS,
    Gap("VPC and X-Ray", "a function runs as a process of this machine, with its network"),
    AUTHORIZERS,
    TRIGGERS,
    SOURCES,
    DESTINATIONS,
    SUBSCRIPTIONS,
    Gap("batching windows and concurrency of queues", "messages are handed over as they come, one batch at a time"),
    Gap("WebSocket APIs", "HTTP APIs and REST APIs are served"),
    Gap("what API Gateway does by itself", "models, mappings, keys, throttling and mocks: requests go to functions"),
    PIPES,
    ENRICHMENTS,
    INPUT_TEMPLATES,
    NESTED_STACKS,
    EXPORTS,
    VALUES,
    REPLICAS,
    Gap("metrics and alarms", "the mapping's metrics are not published; what is logged is shown"),
    Gap("types of resources that moto does not know", "they get a stand-in, and are named by `status`"),
)


def not_done() -> str:
    """Return the list as text of at most 80 columns."""
    lines = ["Not done here, by name:"]
    for gap in GAPS:
        lines += textwrap.wrap(f"{gap.name}: {gap.reason}", _WIDTH, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)
