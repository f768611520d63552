"""Lint what CloudFormation will get: `python -m tests.lint_template [TEMPLATE]`.

`sam validate --lint` and cfn-lint check the SAM resources as they are written, and let wrong properties of an event
through. Here the template is translated first, as the service does it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cfnlint.api import lint_file

from local.errors import TemplateError
from local.translate import translate

ROOT = Path(__file__).resolve().parent.parent


def problems(template: Path) -> list[str]:
    """Return what is wrong with the template, one line each: as it is written, and as it is translated."""
    try:
        translated = translate(template)
    except TemplateError as error:
        return [str(error)]
    resources = {**translated.template["Resources"], **translated.mappings}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "translated.json")
        plain.write_text(json.dumps({**translated.template, "Resources": resources}, indent=1), encoding="utf-8")
        return [*_lint(template), *_lint(plain)]


def _lint(template: Path) -> list[str]:
    return [f"{template.name}:{found.linenumber}: {found.rule.id} {found.message}" for found in lint_file(template)]


def main() -> int:
    """Print the problems; return 1 if there are any."""
    template = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "template.yaml"
    found = problems(template)
    sys.stdout.write("\n".join([*found, f"{template.name}: {len(found)} problems"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
