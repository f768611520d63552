from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint_template import problems

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


def test_the_template_has_no_problems() -> None:
    assert problems(TEMPLATE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("[ReportBatchItemFailures]", "[ReportBatchItemFailure]", "'ReportBatchItemFailure' is not one of"),
        ("BatchSize: !Ref BatchSize", "BatchSize: 20000", "20000"),
        ("Stream: !GetAtt Table.StreamArn", "Stream: !GetAtt Tabel.StreamArn", "Tabel"),
        ("StartingPosition: TRIM_HORIZON", "StartingPosition: BANANA", "BANANA"),
        ("Runtime: python3.13", "Runtime: python3.31", "python3.31"),
        ("BisectBatchOnFunctionError: true", "BisectOnFunctionError: true", "BisectOnFunctionError"),
    ],
)
def test_a_mistake_in_the_function_or_its_event_is_found(right: str, wrong: str, named: str, tmp_path: Path) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text.count(right) == 1
    planted = tmp_path / "template.yaml"
    planted.write_text(text.replace(right, wrong), encoding="utf-8")

    assert any(named in problem for problem in problems(planted))
