"""The shop in `sam local` without a stack: every sample event is answered, and what it would do is shown."""

from __future__ import annotations

import json
import re

import pytest

from shop.config import is_unresolved
from shop.sam_local import dry_run_without_stack
from tablestream import TablestreamError, sam_local
from tablestream.testing import FakeContext
from tests.cloudformation import ROOT, translated
from tests.events_table import EVENTS, TABLE

UNRESOLVED = {
    "AWS_SAM_LOCAL": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "Worker",
    "TABLE_NAME": "Table",
    "INVENTORY_TABLE": "InventoryTable",
    "JOURNAL_TABLE": "JournalTable",
    "TOPIC_ARN": "Topic",
    "FAILURES_BUCKET": "FailuresBucket",
}
PUBLISHED = re.compile(r"  notifications: publish (.*)")


def test_these_are_the_names_that_sam_local_leaves() -> None:
    variables = translated()["Resources"]["Worker"]["Properties"]["Environment"]["Variables"]
    references = {name: value["Ref"] for name, value in variables.items() if isinstance(value, dict) and "Ref" in value}

    assert references.items() >= {(name, value) for name, value in UNRESOLVED.items() if not name.startswith("AWS_")}


@pytest.mark.parametrize("name", TABLE)
def test_a_sample_event_has_its_answer_and_its_effects_are_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = TABLE[name]
    dry_run = dry_run_without_stack(dict(UNRESOLVED))
    assert dry_run is not None
    event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))

    if expected.error:
        with pytest.raises(TablestreamError) as caught:
            dry_run(event, FakeContext())
        assert type(caught.value).__name__ == expected.error
    else:
        assert dry_run(event, FakeContext()) == expected.answer

    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("Dry run: AWS_ENDPOINT_URL names no stack of `make local`.")
    published = [json.loads(found[1]) for line in lines if (found := PUBLISHED.fullmatch(line))]
    assert sorted(f"{each['type']} {each['orderId']}" for each in published) == sorted(expected.notifications)
    assert len([line for line in lines if line.startswith("  dead letter: ")]) == len(expected.dead_letters)
    taken = [line for line in lines if line.startswith("  inventory: take ")]
    assert len(taken) >= len(expected.statuses)


def test_the_address_that_was_asked_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    dry_run = dry_run_without_stack({**UNRESOLVED, "AWS_ENDPOINT_URL": "https://nowhere.example"})
    assert dry_run is not None
    dry_run({"Records": []}, FakeContext())

    assert "`make local` does not answer at https://nowhere.example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "unresolved"),
    [
        ({}, True),
        ({"AWS_SAM_LOCAL": ""}, False),
        ({"TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders"}, False),
        ({"FAILURES_BUCKET": "failures"}, False),
        ({"TOPIC_ARN": ""}, False),
        ({"TOPIC_ARN": "not-an-arn"}, False),
    ],
    ids=["all", "in AWS", "a topic", "a bucket", "nothing", "neither a topic nor a name of the template"],
)
def test_a_dry_run_takes_sam_local_and_names_of_the_template(changed: dict[str, str], unresolved: bool) -> None:
    assert is_unresolved(UNRESOLVED | changed) is unresolved


def test_the_documentation_shows_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sam_local, "stack_variables", lambda _: None)
    told = json.loads((ROOT / "sam-local.json").read_text(encoding="utf-8"))["Parameters"]
    dry_run = dry_run_without_stack(UNRESOLVED | told)
    assert dry_run is not None
    dry_run(json.loads((EVENTS / "insert-order.json").read_text(encoding="utf-8")), FakeContext())
    first, stock, message = capsys.readouterr().out.splitlines()

    documented = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")
    beginning, _, _ = message.partition('","sequenceNumber"')
    assert f'    {first}\n    {stock}\n    {beginning}",…}}\n' in documented
