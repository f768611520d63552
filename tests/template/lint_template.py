"""Lint what CloudFormation will get: `python -m tests.template.lint_template [TEMPLATE]`.

`sam validate --lint` and cfn-lint check the SAM resources as they are written, and let wrong properties of an event
through. Here the template is translated first, as the service does it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cfnlint.api import lint_file

from tests.support.cloudformation import TEMPLATE, NotTranslatableError, translated


def problems(template: Path) -> list[str]:
    """Return what is wrong with the template, one line each: as it is written, and as it is translated."""
    try:
        plain = translated(template)
    except NotTranslatableError as error:
        return [f"{template.name}: the SAM translator refuses it: {error}"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "translated.json")
        file.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        return [*_lint(template), *_lint(file)]


def _lint(template: Path) -> list[str]:
    return [f"{template.name}:{found.linenumber}: {found.rule.id} {found.message}" for found in lint_file(template)]


def main() -> int:
    """Print the problems; return 1 if there are any."""
    template = Path(sys.argv[1]) if sys.argv[1:] else TEMPLATE
    found = problems(template)
    sys.stdout.write("\n".join([*found, f"{template.name}: {len(found)} problems"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
