"""Who runs a tool, for the lease and for the log of what was discarded."""

from __future__ import annotations

import getpass
import os
import socket


def owner() -> str:
    """Return the user, the machine and the process."""
    return f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
