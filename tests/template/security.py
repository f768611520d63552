"""Let checkov look at what CloudFormation will get: `python -m tests.template.security [TEMPLATE]`.

checkov has a virtual environment of its own (.venv-checkov, requirements/checkov.txt), for it pins what others need
newer. What it need not say again is in the template, with the reason beside it (`Metadata`, `checkov`, `skip`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cloudformation import ROOT, TEMPLATE, translated

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"


@dataclass(frozen=True, slots=True)
class Findings:
    """How many checks passed; which failed and which were skipped, a line each."""

    passed: int
    failed: Sequence[str]
    skipped: Sequence[str]


def findings(template: Path) -> Findings:
    """Run checkov. Raises FileNotFoundError where it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "translated.json")
        file.write_text(json.dumps(translated(template), indent=1), encoding="utf-8")
        return _findings(_checkov(file))


def _checkov(file: Path) -> dict[str, Any]:
    # --skip-download: what is checked must depend on the pinned version alone.
    options = ("--framework", "cloudformation", "--skip-download", "--output", "json")
    done = subprocess.run(
        [str(CHECKOV), "--file", str(file), *options], capture_output=True, text=True, timeout=300, check=False
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RuntimeError(f"checkov printed no report (status {done.returncode}): {done.stderr[-2000:]}") from None
    if report["summary"]["parsing_errors"] or not report["summary"]["resource_count"]:
        raise RuntimeError(f"checkov could not read the template: {report['summary']}")
    return report


def _findings(report: dict[str, Any]) -> Findings:
    results = report["results"]
    return Findings(
        passed=report["summary"]["passed"],
        failed=[f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in results["failed_checks"]],
        skipped=[
            f"{each['check_id']} {each['resource']}: {each['check_result']['suppress_comment']}"
            for each in results["skipped_checks"]
        ],
    )


def main() -> int:
    """Print the findings; return 1 if a check failed, 2 if checkov is missing."""
    if not CHECKOV.is_file():
        sys.stderr.write("no checkov in .venv-checkov (make check installs it)\n")
        return 2
    template = Path(sys.argv[1]) if sys.argv[1:] else TEMPLATE
    found = findings(template)
    lines = [*(f"skipped: {line}" for line in found.skipped), *(f"FAILED: {line}" for line in found.failed)]
    counts = f"checkov: {found.passed} passed, {len(found.failed)} failed, {len(found.skipped)} skipped with a reason"
    sys.stdout.write("\n".join([*lines, counts]) + "\n")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
