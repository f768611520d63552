"""The one list of what `tablestream local` does not do, each with its reason."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

_WIDTH = 80


class Gap(NamedTuple):
    """Something that AWS does and that is not done here."""

    name: str
    reason: str


GAPS = (
    Gap("functions in other languages than Python and JavaScript", "they have no runtime here; left out, and named"),
    Gap("image functions (ImageUri)", "they need Docker; `sam local invoke` runs them against this AWS"),
    Gap("layers of another stack, or of a bucket", "they are not in the project: install what they hold"),
    Gap("file systems, VPC, X-Ray", "a function runs as a process of this machine, with its files and network"),
    Gap("IAM permissions and authorizers", "every call is let through: try permissions in an account"),
    Gap("schedules, buckets and buses that invoke functions", "only DynamoDB streams and HTTP APIs do"),
    Gap("queues and other streams as a source of functions", "only DynamoDB streams are delivered"),
    Gap("topics that invoke functions", "messages reach subscribed queues; a function is not invoked"),
    Gap("REST APIs and WebSocket APIs", "HTTP APIs (AWS::Serverless::HttpApi) are served"),
    Gap("EventBridge Pipes to anything but a function", "one from a stream to a function is delivered"),
    Gap("nested stacks", "run the template that has the table; the outputs of others get text in their place"),
    Gap("Fn::ForEach (AWS::LanguageExtensions)", "write the resources out, or run the processed template"),
    Gap("exports of other stacks", "not known here: --import NAME=VALUE"),
    Gap("parameters and secrets that a template refers to", "not known here: --parameter and --resolve"),
    Gap("replicas of global tables", "there is one region, whatever a call is signed for"),
    Gap("metrics and alarms", "the mapping's metrics are not published; what is logged is shown"),
    Gap("types of resources that moto does not know", "they get a stand-in, and are named by `status`"),
)


def told() -> str:
    """Return the list as text of at most 80 columns."""
    lines = ["Not done here, by name:"]
    for gap in GAPS:
        lines += textwrap.wrap(f"{gap.name}: {gap.reason}", _WIDTH, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)
