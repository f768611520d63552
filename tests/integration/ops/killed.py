"""Runs the operator's tools and kills itself at one of their AWS calls.

`python -m tests.integration.ops.killed Invoke 2 during redrive run …`; the number counts the calls of that operation.
`before`: the call is not sent; `during`: it is sent, and its answer is not waited for; `after`: it is done.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from typing import Any

from botocore.client import BaseClient

from tablestream.ops.__main__ import main

SOON = 0.05


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(call: Any, fatal: str, at: int, when: str) -> Any:
    calls = itertools.count(1)

    def made(client: BaseClient, operation: str, request: Any) -> Any:
        mine = operation == fatal and next(calls) == at
        if mine and when == "before":
            _kill()
        if mine and when == "during":
            threading.Timer(SOON, _kill).start()
        answer = call(client, operation, request)
        if mine:
            _kill()
        return answer

    return made


if __name__ == "__main__":
    patched: Any = BaseClient
    patched._make_api_call = killing(patched._make_api_call, sys.argv[1], int(sys.argv[2]), sys.argv[3])  # noqa: SLF001 -- every call of boto3 passes here
    sys.exit(main(sys.argv[4:]))
