"""`python -m tablestream.local`: see `cli/commands.py`."""

from __future__ import annotations

import sys

from tablestream.local.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
