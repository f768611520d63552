"""The package as it is built, in the stack as it is translated: without Docker, in the embedded AWS."""

from __future__ import annotations

import io
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.toolchain import LAMBDA_PYTHON
from demo import day
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.runtime.runtime import Runtime
from tests.e2e import sam
from tests.e2e.package import package as zipped
from tests.support.cloudformation import ROOT, TEMPLATE, translated

MEGABYTE = 1_000_000
# Measured: 5.5 and 15.1 MB, the API's 10.8 and 28.6. Somewhat more may be a library's new version, much more what does
# not belong.
MOST = {"Worker": (8 * MEGABYTE, 20 * MEGABYTE), "Api": (14 * MEGABYTE, 36 * MEGABYTE)}
"""Bytes of each package: zipped, and unpacked."""
PROBE = """
import botocore, shop.processor, tablestream
def handler(event, context):
    return [module.__file__ for module in (botocore, shop.processor, tablestream)]
"""


def test_the_scenario_of_make_run_holds_with_the_built_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API's machine code is for Lambda's Python: under another one its sources run."""
    written = io.StringIO()
    monkeypatch.setattr(day, "console", lambda: Console(file=written, width=120))
    runnable, text = package.with_name("runnable.yaml"), package.read_text(encoding="utf-8")
    assert text.count("CodeUri: Api\n") == 1
    is_lambdas = sys.version_info[:2] == LAMBDA_PYTHON
    runnable.write_text(text if is_lambdas else text.replace("CodeUri: Api\n", f"CodeUri: {ROOT / 'src'}\n"))

    assert day.run(runnable) == 0, written.getvalue()
    assert "OK: every invariant holds" in written.getvalue()


def test_what_runs_there_is_the_package_and_not_the_source_tree(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package.parent / "Worker", tmp_path / "Worker")
    shutil.copy(package, tmp_path)
    (tmp_path / "Worker" / "probe.py").write_text(PROBE, encoding="utf-8")
    with Cloud(tmp_path / "template.yaml") as cloud:
        runtime = Runtime(replace(cloud.functions["Worker"], handler="probe.handler"), lambda _: None)
        try:
            loaded = runtime.invoke({}).payload
        finally:
            runtime.close()

    assert all(Path(file).is_relative_to(tmp_path / "Worker") for file in loaded)


def test_every_output_and_variable_of_the_stack_has_a_value(package: Path) -> None:
    declared = translated(TEMPLATE)
    with Cloud(package) as cloud:
        outputs, variables = dict(cloud.outputs), dict(cloud.functions["Worker"].environment)

    assert set(outputs) == {name for name, each in declared["Outputs"].items() if "Condition" not in each}
    wanted = set(declared["Resources"]["Worker"]["Properties"]["Environment"]["Variables"])
    assert wanted <= set(variables)
    del outputs["ApiUrl"]  # known when the API is served
    for name, value in [*outputs.items(), *((name, variables[name]) for name in wanted)]:
        assert value, name
        assert "{" not in value, (name, value)
        assert "stand-in" not in value, (name, value)


def test_the_same_inputs_give_the_same_packages(package: Path, tmp_path: Path) -> None:
    again = sam.build(tmp_path / "again")

    for function in MOST:
        first, second = (zipped(template.parent / function) for template in (package, again))
        assert first.digest == second.digest


@pytest.mark.parametrize("function", MOST)
def test_a_package_is_as_small_as_it_was(function: str, package: Path) -> None:
    made = zipped(package.parent / function)

    assert len(made.content) < MOST[function][0], made
    assert made.unzipped < MOST[function][1], made
