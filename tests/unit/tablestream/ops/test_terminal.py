"""The operator's terminal: what fits, what stays of a line, how a run is ended, and values that are hidden."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tablestream.ops.terminal import (
    Column,
    ExitStatus,
    Interrupt,
    InterruptedRunError,
    Terminal,
    age,
    interruptible,
    laid_out,
    masked,
    printable,
)
from tablestream.testing import Raw, inserted

COLUMNS = (Column("reason"), Column("handler", 2), Column("records"), Column("newest", 1))
ROWS = [
    ("RetryAttemptsExhausted", "shop.handlers.inventory.order_placed", 12, "3 d"),
    ("KeyError", "-", 1, "40 s"),
]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_where_there_is_no_terminal_a_table_has_everything() -> None:
    lines, without = laid_out(COLUMNS, ROWS, None)
    assert lines == [
        "reason                  handler                               records  newest",
        "----------------------  ------------------------------------  -------  ------",
        "RetryAttemptsExhausted  shop.handlers.inventory.order_placed       12  3 d",
        "KeyError                -                                           1  40 s",
    ]
    assert without == []


@pytest.mark.parametrize("width", range(4, 120))
def test_a_table_fits_and_says_what_it_leaves_out(width: int) -> None:
    lines, without = laid_out(COLUMNS, ROWS, width)
    assert max(map(len, lines)) <= max(width, 18), "below that no table makes sense"
    assert without == (["handler", "newest"] if width < 39 else ["handler"] if width < 77 else [])


def test_a_cell_that_is_too_long_goes_on_below_itself() -> None:
    lines, _ = laid_out((Column("reason"), Column("entities")), [("X", "12 Order, 3 Customer, 1 Lead")], 24)
    assert lines == [
        "reason  entities",
        "------  ----------------",
        "X       12 Order, 3",
        "        Customer, 1 Lead",
    ]


def test_the_width_of_a_terminal_is_taken_from_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Screen()
    Terminal(out, io.StringIO()).table(COLUMNS, ROWS)
    table = out.getvalue().splitlines()
    assert table[0] == "reason                  records  newest"
    assert table[-1] == "(not shown at this width: handler; --json tells all)"


def test_with_json_there_is_one_object_a_line_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err, as_json=True)
    terminal.say("a sentence")
    terminal.warn("a warning")
    terminal.emit("summary", applied=1, note="Zoë\n\x1b[2J")
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"type": "summary", "applied": 1, "note": "Zoë\n\x1b[2J"}
    ]
    assert err.getvalue() == "a warning\n"


def test_without_json_no_object_is_written() -> None:
    out = io.StringIO()
    Terminal(out, io.StringIO()).emit("summary", applied=1)
    assert out.getvalue() == ""


def test_the_name_of_an_object_moves_no_cursor() -> None:
    assert printable("dead-letters/\x1b[2J\r\u202eé.json") == "dead-letters/\\x1b[2J\\r\\u202eé.json"


@pytest.mark.parametrize("error", [None, ValueError("x"), KeyboardInterrupt()])
def test_a_progress_line_is_ended_whatever_ends_the_work(error: BaseException | None) -> None:
    err = Screen()
    terminal = Terminal(io.StringIO(), err, clock=lambda: 0.0)

    def work() -> None:
        with terminal.progress("redriving", 300) as advanced:
            advanced(100)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert err.getvalue().endswith("redriving 100 of 300, 0 s, 0 s left\n")


def test_a_progress_line_says_how_long_it_takes_and_is_not_drawn_too_often() -> None:
    err, now = Screen(), [0.0]
    terminal = Terminal(io.StringIO(), err, clock=lambda: now[0])
    with terminal.progress("redriving", 300) as advanced:
        for _ in range(100):
            now[0] += 1.2
            advanced(1)
        for _ in range(100):
            advanced(0)
    assert err.getvalue().count("\r") == 102
    assert "redriving 100 of 300, 2 min, 4 min left" in err.getvalue()


def test_what_comes_right_after_a_state_is_drawn_although_nothing_else_comes() -> None:
    err, drawn = Screen(), threading.Event()
    terminal = Terminal(io.StringIO(), err, clock=lambda: 0.0)
    write = err.write

    def watched(text: str) -> int:
        if "1 of 300" in text:
            drawn.set()
        return write(text)

    err.write = watched  # type: ignore[method-assign]
    with terminal.progress("redriving", 300) as advanced:
        advanced(1)
        assert drawn.wait(30)


def test_a_sentence_does_not_run_into_the_progress_line() -> None:
    screen = Screen()
    terminal = Terminal(screen, screen, clock=lambda: 0.0)
    with terminal.progress("reading", None):
        terminal.say("a sentence")
    assert "\r\x1b[Ka sentence\n\r\x1b[Kreading 0, 0 s" in screen.getvalue()


def test_where_there_is_no_terminal_no_progress_is_shown() -> None:
    err = io.StringIO()
    with Terminal(io.StringIO(), err).progress("reading", 3) as advanced:
        advanced(3)
    assert err.getvalue() == ""


@pytest.mark.parametrize(
    ("typed", "agrees"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, typed: str, agrees: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    err = io.StringIO()
    assert Terminal(io.StringIO(), err).agrees("Discard?") is agrees
    assert err.getvalue() == "Discard?"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, ExitStatus.INTERRUPTED), (signal.SIGTERM, ExitStatus.TERMINATED)]
)
def test_a_signal_ends_the_run_at_the_next_look(
    number: signal.Signals, status: ExitStatus, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        interrupt.check()
        os.kill(os.getpid(), number)
        with pytest.raises(InterruptedRunError) as ended:
            interrupt.check()
    assert ended.value.status == status
    assert "stopping after the invocation under way" in capfd.readouterr().err
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    def work(press: Callable[[], None]) -> None:
        with interruptible():
            press()
            press()

    with pytest.raises(KeyboardInterrupt):
        work(lambda: os.kill(os.getpid(), signal.SIGINT))


def test_nothing_is_raised_while_nobody_asked() -> None:
    Interrupt().check()


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (0, "0 s"), (59.4, "59 s"), (60, "1 min"), (7200, "2 h"), (90_000, "1 d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


SECRET = "s3cr3t"


def test_the_structure_stays_and_the_values_go() -> None:
    item = {"pk": SECRET, "sk": "x", "n": 5, "bad": Raw({"N": SECRET}), "lines": [{"productId": SECRET}], "flag": True}
    shown = masked(inserted(item))["dynamodb"]["NewImage"]
    assert shown == {
        "pk": {"S": "<text, 6 characters>"},
        "sk": {"S": "<text, 1 characters>"},
        "n": {"N": "<a number>"},
        "bad": {"N": "<text that is no number>"},
        "lines": {"L": [{"M": {"productId": {"S": "<text, 6 characters>"}}}]},
        "flag": {"BOOL": "<true or false>"},
    }


def test_what_identifies_the_change_stays() -> None:
    record = inserted({"pk": "a", "sk": "b"})
    shown = masked(record)
    assert shown["eventID"] == record["eventID"]
    assert shown["dynamodb"]["SequenceNumber"] == record["dynamodb"]["SequenceNumber"]
    assert shown["dynamodb"]["Keys"] == {"pk": {"S": "<text, 1 characters>"}, "sk": {"S": "<text, 1 characters>"}}


_json = some.recursive(
    some.just(SECRET),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["S", "N", "M", "L", "B", f"{SECRET} {SECRET}"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_json, _json)
def test_no_malformed_image_lets_a_value_through(image: object, keys: object) -> None:
    record = {"eventID": "e", "dynamodb": {"NewImage": image, "Keys": keys, "junk": image}, "extra": image}
    assert SECRET not in json.dumps(masked(record))
