"""Small projects of other people's kinds, each as it is: what runs, what is said, and what is refused in one sentence.

The folders in `cases/fails` once ended in a traceback, misled or were wrong; those in `cases/holds` have always run.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.delivery.mapping import InvalidSettings, MappingSettings
from tablestream.local.errors import UsageError
from tablestream.local.template.project import TEMPLATES, chosen_region, parameter_overrides, stack_name
from tablestream.local.trigger.observations import Ended, Logged

HERE = Path(__file__).parent / "cases"
CASES = sorted(f"{folder.parent.name}/{folder.name}" for folder in HERE.glob("*/*"))
SOON = 30.0
AGAIN = 0.5


@dataclass(frozen=True)
class Runs:
    """The stream's function gets the record: what it logs, or the class of the error that it raises."""

    logs: str = r"INSERT \{'kettle': \{'S': 'x'\}\}"
    raises: str = ""
    notes: tuple[str, ...] = ()
    """What is said at start, and nothing else."""


@dataclass(frozen=True)
class Refused:
    """The template cannot be run: one sentence says why."""

    words: str


HAS_NODE = shutil.which("node") is not None
NO_NODE = "Runtime is nodejs22.x, and there is no `node` on this machine's PATH"
NODE = () if HAS_NODE else (f"Steam: {NO_NODE}",)
RIGHT: dict[str, Runs | Refused] = {
    "fails/03-ssm-parameter": Runs(
        notes=(
            "BusName is /kitchen/bus in SSM, not known here: --parameter BusName=VALUE",
            "the variable BUS is stand-in",
        )
    ),
    "fails/04-samconfig-default": Runs(logs="colour red eu-central-1 kitchen-Whistle-"),
    "fails/06-alias-with-permission": Runs(notes=("TimerDaily .AWS::Events::Rule. invokes no function here",)),
    # As in AWS: a pipe hands a list over, and this handler wants a mapping's event.
    "fails/08-pipe-from-stream": Runs(logs="", raises="TypeError"),
    "fails/09-import-value": Runs(
        notes=(
            "tray-name is exported by another stack.*--import tray-name=VALUE",
            "the variable TRAY is stand-in-tray-name",
        )
    ),
    "fails/10-node-beside-python": Runs(notes=NODE),
    "fails/11-missing-package": Runs(
        logs=r"cannot be imported: ModuleNotFoundError: No module named 'kettledescaler' \(app.py, line 1\)",
        raises="ModuleNotFoundError",
    ),
    "fails/12-layer-in-project": Runs(logs="oolong"),
    "fails/14-stream-arn-parameter": Refused(
        "WhistleKettles: Stream not found: arn:.*table/elsewhere/.* is not in this template: wanted one"
    ),
    "fails/16-runtime-by-reference": Runs(logs="") if HAS_NODE else Refused(f"Whistle: {NO_NODE}"),
    "fails/18-global-table": Runs(notes=("Kettles .AWS::DynamoDB::GlobalTable. is one table here",)),
    "fails/19-code-uri-zip": Refused(
        'Whistle: CodeUri is "build/code.zip".* is not there: build it, or --code Whistle=FOLDER says'
    ),
    "fails/19b-no-code-uri": Refused("Whistle: it has neither CodeUri nor InlineCode nor Code"),
    "fails/22-parameters-without-default": Refused("no value and no default for Aroma, Blend, Cup: wanted --parameter"),
    "fails/23-dynamic-reference": Runs(
        logs=r"key \{\{resolve:ssm:/kitchen/key\}\} pin \{\{resolve:secretsmanager:kitchen:SecretString:pin\}\}",
        notes=("the variable KEY is .*not looked up here", "the variable PIN is .*not looked up here"),
    ),
    "fails/25-region-in-handler": Runs(logs="items 1"),
    "fails/26-python-newer-than-ours": Runs(logs="cups 1")
    if sys.version_info >= (3, 12)
    else Runs(logs="SyntaxError.*Its Runtime is python3.13, here it runs with python3.11", raises="SyntaxError"),
    "fails/30-handler-wrong": Runs(
        logs="cannot be imported: AttributeError: module 'app' has no attribute 'mian'", raises="AttributeError"
    ),
    "fails/40-event-bus-ref": Runs(logs="bus kitchen failed 0"),
    "fails/44-packaged-layer": Runs(notes=("Whistle: the layer Common is not in this project",)),
    "fails/45-table-without-stream": Refused(
        "KettlesKettles reads the stream of Kettles, which has none: wanted a table"
    ),
    "fails/47-schema-list-parameter": Runs(logs="green,black green"),
    "fails/52-reference-to-nothing": Refused("TABLE refers to Kettle, which is neither .*: did you mean Kettles.$"),
    "fails/53-view-type-misspelt": Refused("Kettles: StreamSpecification.StreamViewType is 'NEW_IMG': wanted one of"),
    "fails/54-stream-of-another-stack": Refused(
        "WhistleKettles reads the stream that another stack exports as kettles-stream, .*: --import kettles-stream=arn:"
    ),
    "holds/24-kms": Runs(logs="", raises="ValueError"),
    "holds/28-other-triggers": Runs(notes=("invokes no function here",) * 2),
    "holds/32-custom-resource-attribute": Runs(notes=("the variable SEED is stand-in-Seed-Value",)),
    "holds/33-explicit-table-destination-sns": Runs(logs="", raises="ValueError"),
    "holds/49-default-image-and-destination-s3": Runs(logs="", raises="ValueError"),
    "holds/50-node-without-stream": Runs(notes=NODE),
}
"""What is right for a case; for each that is not named here, that its handler gets the record and nothing is said."""


@dataclass
class Run:
    """What came of a project."""

    notes: tuple[str, ...] = ()
    logs: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


def once(settings: MappingSettings) -> MappingSettings:
    return replace(hurried(settings), max_retries=0)


def run(folder: Path, elsewhere: Elsewhere | None = None, logs: str = "") -> Run:
    """Run a project as `tablestream local` does; write an item until its handler is invoked and has logged this."""
    template = next(folder / name for name in TEMPLATES if (folder / name).exists())
    seen: list[Any] = []
    cloud = Cloud(
        template,
        stack_name=stack_name(template),
        overrides=parameter_overrides(template),
        elsewhere=elsewhere or Elsewhere(),
        region=chosen_region(None, template, None, {}) or REGION,
    )
    options = Options(poll_interval=0.02, settings=once)
    with cloud as made, Running(made, seen.append, options) as running:
        ends = time.monotonic() + SOON
        while not any(isinstance(one, Ended) for one in seen) and time.monotonic() < ends:
            write(made)
            running.settle(SOON)
            time.sleep(0 if seen else AGAIN)  # a mapping that begins at LATEST may not have begun
        while not has_logged(seen, logs) and time.monotonic() < ends:
            time.sleep(0.02)  # lines come from threads of their own
        notes = made.notes
    ended = [one.invocation for one in seen if isinstance(one, Ended)]
    outcomes = [str((one.error or {}).get("errorType", "")) for one in ended]
    return Run(notes, [one.line for one in seen if isinstance(one, Logged)], outcomes)


def has_logged(seen: list[Any], words: str) -> bool:
    return not words or any(re.search(words, one.line) for one in seen if isinstance(one, Logged))


def write(cloud: Cloud) -> None:
    """Write an item to each table whose stream invokes a function."""
    client = cloud.client("dynamodb")
    for table in {mapping.stream_arn.partition("/")[2].partition("/")[0] for mapping in cloud.mappings}:
        keys = client.describe_table(TableName=table)["Table"]["KeySchema"]
        key = {one["AttributeName"]: {"S": "x"} for one in keys}
        client.delete_item(TableName=table, Key=key)
        client.put_item(TableName=table, Item=key)


@pytest.mark.parametrize("case", CASES)
def test_a_project_ends_as_is_right(case: str) -> None:
    right = RIGHT.get(case, Runs())
    if isinstance(right, Refused):
        with pytest.raises((UsageError, InvalidSettings), match=right.words) as told:
            run(HERE / case)
        assert "\n" not in str(told.value)
        return
    came = run(HERE / case, logs=right.logs)
    assert came.outcomes
    assert set(came.outcomes) == {right.raises}
    assert not right.logs or any(re.search(right.logs, line) for line in came.logs), came.logs
    assert len(came.notes) == len(right.notes), came.notes
    for note, words in zip(came.notes, right.notes, strict=True):
        assert re.search(words, note)


def test_every_case_is_run_and_each_that_is_named_is_there() -> None:
    assert len(CASES) == 52
    assert set(RIGHT) <= set(CASES)


def test_what_is_kept_elsewhere_may_be_given() -> None:
    given = Elsewhere(imports={"tray-name": "oak"})
    assert run(HERE / "fails/09-import-value", given).notes == ()
    given = Elsewhere(references={"ssm:/kitchen/key": "brass", "secretsmanager:kitchen:SecretString:pin": "0000"})
    came = run(HERE / "fails/23-dynamic-reference", given, logs="key")
    assert came.notes == ()
    assert any("key brass pin 0000" in line for line in came.logs)


def test_what_no_template_asks_for_is_told() -> None:
    with pytest.raises(UsageError, match="--import tray: the template asks for no such value, but for tray-name"):
        run(HERE / "fails/09-import-value", Elsewhere(imports={"tray": "oak"}))
    with pytest.raises(UsageError, match="--resolve ssm:/a: the template asks for no such value, but for none at all"):
        run(HERE / "fails/01-unquoted-date", Elsewhere(references={"ssm:/a": "b"}))


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    case = HERE / "fails/19-code-uri-zip"
    (tmp_path / "build").mkdir()
    with zipfile.ZipFile(tmp_path / "build" / "code.zip", "w") as archive:
        archive.write(case / "code" / "app.py", "app.py")
    (tmp_path / "template.yaml").write_text((case / "template.yaml").read_text())
    assert run(tmp_path).outcomes == [""]
