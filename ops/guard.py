"""What every invocation has to pass: the rate limit, Ctrl-C, the lease."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ops.interrupt import check
from ops.invoking import Answer, Invoke
from ops.lease import Lease
from ops.pace import Pace
from tablestream.change import RawRecord


def guarded(invoke: Invoke, lease: Lease, pace: Pace, stop: threading.Event) -> Invoke:
    """Return an `Invoke` that waits for its turn, ends when the operator said so, and renews the lease."""

    def send(records: Sequence[RawRecord]) -> Answer:
        pace.wait(len(records))
        check(stop)
        lease.renew()
        return invoke(records)

    return send
