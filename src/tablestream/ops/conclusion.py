"""The end of a run: true figures whatever ended it, and the exit status that follows from them."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from tablestream.ops.sending import RecordOutcome, Tally
from tablestream.ops.terminal import ExitStatus, InterruptedRunError, StoppedError, Terminal
from tablestream.report import RecordState


def told(outcome: RecordOutcome | None, terminal: Terminal) -> None:
    """Write a JSON line for a record that was not applied."""
    if outcome is not None and outcome.state is not RecordState.APPLIED:
        event_id, number = outcome.pending.identity
        terminal.emit(
            "record",
            event_id=event_id,
            sequence_number=str(number),
            outcome=outcome.state.value,
            error_class=outcome.error or None,
            detail=outcome.detail or None,
            key=outcome.key,
        )


def concluded(
    work: Callable[[], ExitStatus], tally: Tally, terminal: Terminal, sum_up: Callable[[Tally, Terminal], None]
) -> ExitStatus:
    """Do the work, say what has come of it, however it ends, and return the exit status.

    What is wrong with the command or the permissions is raised; if anything was sent by then, with the figures.
    """
    stopped = ""
    try:
        status = work()
        status = status if tally.clean else ExitStatus.INCOMPLETE
    except KeyboardInterrupt:
        status, stopped = ExitStatus.INTERRUPTED, "ended at once"
    except InterruptedRunError as interrupted:
        status, stopped = interrupted.status, str(interrupted)
    except StoppedError as error:
        status, stopped = ExitStatus.INCOMPLETE, str(error)
    except (ClientError, BotoCoreError) as error:
        if not tally.begun:
            raise
        status, stopped = ExitStatus.USAGE, str(error)
    sum_up(tally, terminal)
    if tally.unknown:
        terminal.say(f"{tally.unknown} records were sent, and it is not known what became of them")
    if stopped:
        terminal.warn(f"stopped: {stopped}")
        terminal.warn("what is left is where it was; the same command goes on")
    terminal.emit("summary", **tally.fields(), status=int(status), stopped=stopped or None)
    return status
