"""checkov on the translated template: what it finds in planted errors, and that each skip says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cloudformation import TEMPLATE, translated
from tests.template.security import CHECKOV, findings

TEXT = TEMPLATE.read_text(encoding="utf-8")


def test_each_check_that_is_skipped_has_its_reason_beside_it() -> None:
    skips = [
        skip
        for resource in translated()["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skips
    assert all(re.fullmatch(r"CKV2?_AWS_\d+", skip["id"]) and len(skip["comment"]) > 20 for skip in skips)


@pytest.mark.skipif(not CHECKOV.is_file(), reason="no checkov (make check installs it)")
@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("RestrictPublicBuckets: true", "RestrictPublicBuckets: false", "CKV_AWS_56"),
        (
            "Action: sns:Publish\n                Resource: !Ref Topic",
            'Action: "*"\n                Resource: "*"',
            "CKV_AWS_62",
        ),
    ],
    ids=["a public bucket", "a role that may do anything"],
)
def test_checkov_finds(right: str, wrong: str, check: str, tmp_path: Path) -> None:
    assert TEXT.count(right) == 1
    planted = tmp_path / "template.yaml"
    planted.write_text(TEXT.replace(right, wrong), encoding="utf-8")

    assert any(line.startswith(check) for line in findings(planted).failed)
