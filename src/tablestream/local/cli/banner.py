"""Tells where everything of a running `up` is: in few lines at the start, in full for `status`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tablestream.local.cli.items import plain_text
from tablestream.local.cli.session import command, program
from tablestream.local.cli.terminal import counted, put
from tablestream.local.gateway.gateway import Address
from tablestream.local.template.parameters import STAND_IN

if TYPE_CHECKING:
    from rich.console import Console

    from tablestream.local.application import Running
    from tablestream.local.cloud.cloud import Cloud
    from tablestream.local.delivery.mapping import MappingSettings


LONGEST_COMMAND = 30  # columns beside which there is room to say what a command does
# Keys that no text of ours uses: what is written with them replaces no item of a tutorial.
_EXAMPLES: Mapping[str, str] = {"S": "example", "N": "1001", "B": "ZXhhbXBsZQ=="}


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event source mapping: the table whose changes it delivers, an item that has the table's keys, its settings."""

    mapping: str
    table: str
    example: Mapping[str, Any]
    function: str
    settings: str


@dataclass(frozen=True, slots=True)
class Hint:
    """A command to try next, and what it does."""

    command: str
    does: str


@dataclass(frozen=True, slots=True)
class About:
    """A running `up`: addresses, names, and what is not as in AWS. `variables` point any SDK at it.

    `for_containers` is the address for functions that `sam local` runs, `page` that of the page, with its token.
    """

    stack: str
    endpoint: str
    dynamodb_endpoint: str | None
    for_containers: str | None
    outputs: Mapping[str, str]
    apis: Sequence[Address]
    deliveries: Sequence[Delivery]
    messages: Sequence[str]
    notes: Sequence[str]
    differences: Sequence[str]
    variables: Mapping[str, str]
    page: str = ""

    def told(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def about(
    cloud: Cloud, running: Running, apis: Sequence[Address], lambda_endpoint: str, for_containers: str | None
) -> About:
    """Put together what there is to tell."""
    return About(
        stack=cloud.stack_name,
        endpoint=cloud.endpoint,
        dynamodb_endpoint=cloud.dynamodb_endpoint,
        for_containers=for_containers,
        outputs={name: _here(value, apis) for name, value in sorted(cloud.outputs.items())},
        apis=apis,
        deliveries=[
            Delivery(
                one.logical_id,
                one.table,
                _example(cloud, one.table),
                one.function,
                _settings(running.settings[one.logical_id]),
            )
            for one in cloud.mappings
        ],
        messages=[one.told for one in cloud.queues],
        notes=_notes(cloud, running, apis),
        differences=cloud.differences,
        variables=cloud.aws_environment() | {"AWS_ENDPOINT_URL_LAMBDA": lambda_endpoint},
    )


def greet(output: Console, told: About, hints: Sequence[Hint], *, verbose: bool = False) -> None:
    """Say in few lines what runs and what to type next; all that there is to tell if `verbose`."""
    if verbose:
        describe(output, told)
    else:
        put(output, _headline(told), indent=0)
        _print_addresses(output, told)
        for one in told.deliveries:
            put(output, f"{one.mapping} delivers the changes of {one.table} to {one.function}", indent=2, hang=2)
        for line in told.messages:
            put(output, line, indent=2, hang=2)
        _print_notes(output, told, named=False)
    output.print("\nIn another terminal, in this folder:")
    width = max(len(hint.command) for hint in hints)
    for hint in hints:
        if width <= LONGEST_COMMAND:
            put(output, f"{hint.command.ljust(width)}  {hint.does}", indent=2)
        else:
            put(output, f"to {hint.does}:", indent=2)
            output.print(Text(textwrap.indent(hint.command, "    ")), soft_wrap=True)
    output.print("\nCtrl-C ends it.\n")


def describe(output: Console, told: About) -> None:
    """Print all that there is to tell."""
    put(output, _headline(told), indent=0)
    if told.for_containers is not None:
        put(
            output,
            f"Containers, such as those of `sam local invoke`, reach it at {told.for_containers}",
            indent=2,
            hang=2,
        )
    _print_addresses(output, told)
    width = max(map(len, told.outputs), default=0)
    for name, value in told.outputs.items():
        put(output, f"{name.ljust(width)}  {value}", indent=2, hang=2)
    for one in told.deliveries:
        line = f"{one.mapping} delivers the changes of {one.table} to {one.function}: {one.settings}"
        put(output, line, indent=2, hang=2)
    for line in told.messages:
        put(output, line, indent=2, hang=2)
    _print_notes(output, told, named=True)
    output.print("For any AWS SDK and the AWS CLI:")
    for name, value in told.variables.items():
        put(output, f"export {name}={value}", indent=2)


def put_item(delivery: Delivery) -> str:
    """A command that writes an item to the delivery's table."""
    return f"{program()} put {delivery.table} '{plain_text(delivery.example)}'"


def _headline(told: About) -> str:
    tables = f", its tables at {told.dynamodb_endpoint}" if told.dynamodb_endpoint else ""
    return f"The stack {told.stack} runs on an embedded AWS at {told.endpoint}{tables}"


def _print_addresses(output: Console, told: About) -> None:
    if told.page:
        put(output, f"See what happens in a browser: {told.page}", indent=2, hang=2)
    for one in told.apis:
        pages = [f", see {value}" for value in told.outputs.values() if value.startswith(f"{one.url}/")]
        put(output, f"{one.api} answers at {one.url}{''.join(pages)}", indent=2, hang=2)


def _here(output: str, apis: Sequence[Address]) -> str:
    """The output with the addresses of APIs on this machine in the place of those in AWS."""
    for one in apis:
        in_aws = (
            rf"https?://{STAND_IN}{one.api}\.execute-api\.[a-z0-9-]+\.amazonaws\.com|{STAND_IN}{one.api}-ApiEndpoint"
        )
        output = re.sub(in_aws, one.endpoint, output)
    return output


def _print_notes(output: Console, told: About, *, named: bool) -> None:
    notes = list(told.notes)
    if named:
        notes += told.differences
    elif told.differences:
        notes.append(
            f"{counted(len(told.differences), 'type')} of resources not emulated: {command('status')} names them"
        )
    for note in notes:
        put(output, note, indent=2, hang=2, style="yellow")


def _example(cloud: Cloud, table: str) -> dict[str, Any]:
    described = cloud.client("dynamodb").describe_table(TableName=table)["Table"]
    keys = [key["AttributeName"] for key in described["KeySchema"]]
    definitions = described["AttributeDefinitions"]  # moto checks those of the keys only
    types = {one["AttributeName"]: one["AttributeType"] for one in definitions if one.get("AttributeName") in keys}
    return {name: {types[name]: _EXAMPLES[types[name]]} for name in keys}


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


def _notes(cloud: Cloud, running: Running, apis: Sequence[Address]) -> list[str]:
    notes = [one.note for one in apis if one.note]
    notes += [f"{name}: {note}" for name, settings in running.settings.items() for note in settings.notes]
    for name, settings in running.settings.items():
        if not settings.enabled:
            notes.append(f"{name} is disabled in the template: {command('mapping', f'enable {name}')}")
    if not running.settings and not apis and not cloud.queues:
        notes.append("the template has no HTTP API and no event source mapping of a stream or a queue: nothing is run")
    return [*notes, *map(cloud.placed, cloud.notes)]
