"""What `up` says when it is ready: where everything is, what is not as in AWS, and what to type next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.orders import Order
from local.stack import STACK
from local.view import table

if TYPE_CHECKING:
    from rich.console import Console

    from local.cloud import Cloud
    from local.lambda_api import LambdaApi
    from local.running import Running
    from local.settings import MappingSettings


def greet(output: Console, cloud: Cloud, running: Running, api: LambdaApi, for_containers: str | None) -> None:
    """Print it; `for_containers` is the address for functions that `sam local` runs."""
    output.print(f"Embedded AWS at {cloud.endpoint}", style="bold", soft_wrap=True)
    if for_containers:
        output.print(
            f"Containers reach it at {for_containers}: sam local invoke -e EVENT", style="bold", soft_wrap=True
        )
    if cloud.dynamodb_endpoint:
        output.print(f"Tables at {cloud.dynamodb_endpoint}", style="bold", soft_wrap=True)
    output.print(table("Stack", ["output", "value"], sorted(cloud.outputs.items())))
    for name, settings in running.settings.items():
        output.print(f"{name}: {_settings(settings)}", soft_wrap=True)
    for note in _notes(cloud, running):
        output.print(note, style="yellow", markup=False, soft_wrap=True)
    exports = cloud.aws_environment() | {"AWS_ENDPOINT_URL_LAMBDA": api.endpoint}
    output.print("\nFrom another terminal, with any AWS SDK or the AWS CLI:")
    output.print("  export " + " ".join(f"{name}={value}" for name, value in exports.items()), soft_wrap=True)
    if "TableName" in cloud.outputs:
        output.print(f"  {_aws_line(cloud)}", markup=False, soft_wrap=True)
        output.print(f"or  make order  |  python -m local fault --help  |  python -m ops redrive list --stack {STACK}")
    output.print("\nCtrl-C ends it.\n")


def _settings(settings: MappingSettings) -> str:
    parts = [
        f"batches of up to {settings.batch_size}",
        f"gathered for {settings.batching_window} s" if settings.batching_window else "gathered without a window",
        f"{settings.parallelization} at a time",
        f"{settings.max_retries} retries" if settings.max_retries >= 0 else "retries without end",
        f"records up to {settings.max_age} s old" if settings.max_age >= 0 else "records of any age",
        *(["halved on errors"] if settings.bisect else []),
        *([f"{len(settings.filters)} filters"] if settings.filters else []),
        *([f"windows of {settings.tumbling_window} s"] if settings.tumbling_window else []),
    ]
    return ", ".join(parts)


def _notes(cloud: Cloud, running: Running) -> list[str]:
    notes = [f"{name}: {note}" for name, settings in running.settings.items() for note in settings.notes]
    for name, settings in running.settings.items():
        if not settings.enabled:
            notes.append(f"{name} is disabled in the template: python -m local mapping enable {name}")
    if not running.settings:
        notes.append("the template has no event source mapping of a DynamoDB stream: nothing is delivered")
    return [*notes, *cloud.notes]


def _aws_line(cloud: Cloud) -> str:
    item = json.dumps(Order("from-the-shell", [("tea", 1)]).item())
    return f"aws dynamodb put-item --table-name {cloud.outputs['TableName']} --item '{item}'"
