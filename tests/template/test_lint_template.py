from __future__ import annotations

from pathlib import Path

import pytest

from tests.template.lint_template import problems

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


def test_the_template_has_no_problems() -> None:
    assert problems(TEMPLATE) == []


Mistake = tuple[str, str, str]  # what stands there, what is put in its place, what is said of it

MISTAKES: list[list[Mistake]] = [
    [
        ("[ReportBatchItemFailures]", "[ReportBatchItemFailure]", "'ReportBatchItemFailure' is not one of"),
        ("BatchSize: !Ref BatchSize", "BatchSize: 20000", "20000"),
        ("StartingPosition: TRIM_HORIZON", "StartingPosition: BANANA", "BANANA"),
        (
            "Handler: shop.processor.handler\n      Runtime: python3.13",
            "Handler: shop.processor.handler\n      Runtime: python3.31",
            "python3.31",
        ),
    ],
    # Each of these hides all others.
    [("Stream: !GetAtt Table.StreamArn", "Stream: !GetAtt Tabel.StreamArn", "Tabel")],
    [("BisectBatchOnFunctionError: true", "BisectOnFunctionError: true", "BisectOnFunctionError")],
]


@pytest.mark.parametrize("mistakes", MISTAKES, ids=["values", "a name", "a property"])
def test_mistakes_in_the_function_and_its_event_are_found(mistakes: list[Mistake], tmp_path: Path) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    for right, wrong, _ in mistakes:
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    planted = tmp_path / "template.yaml"
    planted.write_text(text, encoding="utf-8")

    found = problems(planted)
    assert [named for *_, named in mistakes if not any(named in problem for problem in found)] == []
