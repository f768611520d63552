"""The running `up` as other terminals find it: its state file, commands to show and to run there, and its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tablestream.local.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from tablestream.local.cli.banner import About


MODULE = "tablestream.local"
STATE = Path(".local/up.json")
ANSWER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class State:
    """The addresses of the running `up`, for AWS calls and for commands (`control`), and what its stack made.

    `apis` has the address of each HTTP API by its logical id; `variables` point any AWS SDK at it. `page` is the
    address of the page, with its token: whoever may read this file may change the stack.
    """

    pid: int
    endpoint: str
    control: str
    dynamodb_endpoint: str | None
    stack: str
    outputs: Mapping[str, str]
    apis: Mapping[str, str]
    variables: Mapping[str, str]
    page: str = ""

    @staticmethod
    def of_this_process(told: About, control: str) -> State:
        """The state of an `up` that runs in this process."""
        return State(
            os.getpid(),
            told.endpoint,
            control,
            told.dynamodb_endpoint,
            told.stack,
            dict(told.outputs),
            {one.api: one.url for one in told.apis},
            dict(told.variables),
            told.page,
        )


@contextmanager
def announced(state: State) -> Iterator[None]:
    """Keep the state file while the with block runs. Raises UsageError if it is another one's that runs."""
    STATE.parent.mkdir(exist_ok=True)
    try:
        _keep(state)
    except FileExistsError:
        alone_here()
        STATE.unlink(missing_ok=True)  # left behind by one that was killed
        _keep(state)
    try:
        yield
    finally:
        if _read() == state:
            STATE.unlink(missing_ok=True)
            with suppress(OSError):  # something else is kept there
                STATE.parent.rmdir()


def _keep(state: State) -> None:
    """Write the state file, whole as soon as it is there. Raises FileExistsError where there is one."""
    whole = STATE.with_suffix(f".{state.pid}")
    whole.write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
    try:
        os.link(whole, STATE)
    finally:
        whole.unlink()


def alone_here() -> None:
    """Raise UsageError if an `up` runs in this folder: commands of other terminals could not tell the two apart."""
    state = _read()
    if state is None or not _alive(state.pid) or not _answers(state.control):
        return
    raise UsageError(
        f"the stack {state.stack} runs in this folder already, at {state.endpoint} (process {state.pid}): end it with "
        f"Ctrl-C where it runs, or with `kill {state.pid}`; a second one wants another folder"
    )


def running(module: str = MODULE) -> State:
    """The running `up`. Raises NotRunningError, which names the module's command."""
    state = _read()
    if state is None or not _alive(state.pid):
        raise NotRunningError(
            f"nothing is running here: start it in another terminal, in this folder, with `{start(module)}`"
        )
    return state


def _read() -> State | None:
    try:
        return State(**json.loads(STATE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(endpoint: str) -> bool:
    """Whether something listens there: after a crash another process may have got the process id."""
    address = urlsplit(endpoint)
    try:
        with socket.create_connection((address.hostname, address.port or 0), timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def execute(words: Sequence[str]) -> int:
    """Run a program with the variables of the running `up` in place of all `AWS_…`, and return its exit status.

    In its arguments `{stack}` becomes the stack's name, and `{Name}` the output of that name. Raises NotRunningError,
    and UsageError for a name that is no output and for a program that cannot be started.
    """
    state = running()
    names = {"stack": state.stack, **state.outputs}
    filled = [_filled(word, names) for word in words]
    try:
        return subprocess.run(filled, env=environment_of(state.variables), check=False).returncode
    except OSError as error:
        raise UsageError(f"cannot run {filled[0]}: {error.strerror}") from error


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is pointed at a stack by its `variables`.

    All other AWS_… are left out: a profile or an endpoint of the caller's could lead to a real account.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | dict(variables)


# Not in a variable of the shell, and not in text with blanks: there an unknown name is the program's own (Python, sh).
_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w+)\}")


def _filled(word: str, names: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in names and not name.isdigit() and not re.search(r"\s", word):
            outputs = ", ".join(sorted(names.keys() - {"stack"})) or "it has none"
            raise UsageError(f"{{{name}}}: wanted an output of the stack ({outputs})")
        return names.get(name, found[0])

    return _PLACEHOLDER.sub(value, word)


def python() -> str:
    """The Python that runs this, by a path that works in the current directory."""
    executable = Path(sys.executable)
    here = Path.cwd()
    return str(executable.relative_to(here) if executable.is_relative_to(here) else executable)


def program(module: str = MODULE) -> str:
    """The beginning of each of our commands, or of those of another module.

    It is `tablestream local` where that has started us and is found by this name: not within `pipx run`.
    """
    found = shutil.which("tablestream")
    if module == MODULE and found is not None and Path(found).resolve() == Path(sys.argv[0]).resolve():
        return "tablestream local"
    return f"{python()} -m {module}"


def command(name: str, arguments: str = "", module: str = MODULE) -> str:
    """A command of a module: by make where make has started us, else by the Python that runs this."""
    if "MAKELEVEL" in os.environ:
        return f'make {name} ARGS="{arguments}"' if arguments else f"make {name}"
    return f"{program(module)} {name} {arguments}".rstrip()


def start(module: str = MODULE) -> str:
    """The command that runs until it is stopped."""
    return "make local" if "MAKELEVEL" in os.environ else f"{program(module)} up"


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, while the with block runs. For the main thread only."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
