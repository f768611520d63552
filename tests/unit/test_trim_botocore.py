"""The package keeps botocore's data of the services that the worker calls, and no other."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "src" / "trim_botocore.py"


def test_only_the_services_that_are_called_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "botocore" / "data"
    for service in ("dynamodb", "ec2", "s3", "sns"):
        (data / service).mkdir(parents=True)
    (data / "partitions.json").write_text("{}")
    services: dict[str, object] = {name: {"endpoints": {}} for name in ("dynamodb", "ec2", "s3", "sns")}
    (data / "endpoints.json").write_text(json.dumps({"version": 3, "partitions": [{"services": services}]}))

    monkeypatch.setattr(sys, "argv", ["trim_botocore.py", str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")

    assert sorted(path.name for path in data.iterdir()) == [
        "dynamodb",
        "endpoints.json",
        "partitions.json",
        "s3",
        "sns",
    ]
    kept = json.loads((data / "endpoints.json").read_text())
    assert kept["version"] == 3
    assert sorted(kept["partitions"][0]["services"]) == ["dynamodb", "s3", "sns"]
