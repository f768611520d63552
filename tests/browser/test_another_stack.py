"""The page of a project that nothing is known of: its function fails, and its records go to a bucket."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.local_shop import ANY_PORTS, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = ROOT / "tests" / "foreign" / "cases" / "holds" / "49-default-image-and-destination-s3"
FUNCTION = """
def main(event, context):
    for record in event["Records"]:
        name = record["dynamodb"]["Keys"]["kettle"]["S"]
        print("looks at", name)
        if name == "broken":
            raise ValueError("no such kettle")
"""
PATIENCE = 60  # seconds


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The project, running: where it is, as its state file tells."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    (folder / "code" / "app.py").write_text(FUNCTION)
    process = subprocess.Popen([sys.executable, "-m", "tablestream", "local", *ANY_PORTS], cwd=folder)
    state, until = folder / ".local" / "up.json", time.monotonic() + PATIENCE
    while not state.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    yield json.loads(state.read_text())
    process.terminate()
    process.wait(PATIENCE)


def test_a_failure_is_seen_with_its_words_its_record_and_where_the_record_went(
    chromium: Browser, stack: dict[str, Any]
) -> None:
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(stack["page"])
    page.get_by_text("Nothing yet: write an item").wait_for()
    assert page.locator("#form-list form").count() == 1

    item = page.get_by_label("Item")
    assert item.input_value() == '{"kettle": "example"}'
    item.fill('{"kettle": {"S": "broken"}, "litres": {"N": "1.5"}, "lid": {"B": "AP8="}}')
    page.get_by_role("button", name="Write it").click()
    page.locator("#told").filter(has_text="put an item into").wait_for()

    lines = page.locator("#line-list > li")
    failed = lines.filter(has_text="1 INSERT failed: ValueError: no such kettle (app.py, line 7)")
    failed.locator("summary").click()
    behind = failed.locator(".behind")
    behind.get_by_role("heading", name="Failed: ValueError").wait_for()
    assert behind.get_by_role("row").all_inner_texts() == ["kettle\tbroken", "litres\t1.5", "lid\tAP8="]
    assert "looks at broken" in behind.inner_text()
    assert 'File "' in behind.inner_text()
    failed.locator("summary").click()
    lines.filter(has_text="1 record given up after 1 attempt (RetryAttemptsExhausted)").wait_for()

    letter = page.locator("#letter-list details").filter(has_text="RetryAttemptsExhausted after 1 attempt")
    letter.locator("summary").click()
    letter.get_by_role("row").filter(has_text="broken").wait_for()
    letter.get_by_role("button", name="Redrive").click()
    page.locator("#told").filter(has_text="redrive").wait_for()  # this function is no worker, and the tool says so
    assert "broken" in page.locator("#item-list").inner_text()
    page.close()
