"""The shop in `sam local` without a stack: every sample event is answered, and what it would do is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from shop.worker import make_worker
from tablestream import TablestreamError
from tablestream.aws import Aws
from tablestream.testing import FakeContext
from tablestream.worker import LambdaHandler
from tests.support.cloudformation import ROOT, translated
from tests.support.events_table import EVENTS, TABLE

UNRESOLVED = {
    "AWS_SAM_LOCAL": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "Worker",
    "TABLE_NAME": "Table",
    "TABLE_ARN": "arn:aws:lambda:us-east-1:123456789012:function:Table",  # so the SAM CLI resolves `GetAtt Table.Arn`
    "INVENTORY_TABLE": "InventoryTable",
    "JOURNAL_TABLE": "JournalTable",
    "TOPIC_ARN": "Topic",
    "FAILURES_BUCKET": "FailuresBucket",
}
PUBLISHED = re.compile(r"  notifications: (.*)")


def started(environment: Mapping[str, str]) -> LambdaHandler:
    """Return the shop's function as `shop.processor` makes it."""
    aws = Aws(dict(environment))
    return make_worker(aws).handler(aws)


def test_these_are_the_names_that_sam_local_leaves() -> None:
    variables = translated()["Resources"]["Worker"]["Properties"]["Environment"]["Variables"]
    references = {name: value["Ref"] for name, value in variables.items() if isinstance(value, dict) and "Ref" in value}

    assert references.items() >= {
        (name, value) for name, value in UNRESOLVED.items() if not name.startswith("AWS_") and name != "TABLE_ARN"
    }


@pytest.mark.parametrize("name", TABLE)
def test_a_sample_event_has_its_answer_and_its_effects_are_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = TABLE[name]
    dry_run = started(UNRESOLVED)
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
    dry_run = started({**UNRESOLVED, "AWS_ENDPOINT_URL": "https://nowhere.example"})
    dry_run({"Records": []}, FakeContext())

    assert "`make local` does not answer at https://nowhere.example" in capsys.readouterr().out


def test_the_documentation_shows_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tablestream.dry_run.stack_variables", lambda _: None)
    told = json.loads((ROOT / "sam-local.json").read_text(encoding="utf-8"))["Parameters"]
    dry_run = started(UNRESOLVED | told)
    dry_run(json.loads((EVENTS / "insert-order.json").read_text(encoding="utf-8")), FakeContext())
    first, stock, message = capsys.readouterr().out.splitlines()

    documented = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")
    beginning, _, _ = message.partition('","sequenceNumber"')
    assert f'    {first}\n    {stock}\n    {beginning}",…}}\n' in documented
