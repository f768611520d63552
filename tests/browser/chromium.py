"""The Chromium that the tests and the pictures use: the variable's, the machine's, or that of playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoChromiumError(Exception):
    """This machine has none."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser while the with block runs. Raises NoChromiumError."""
    from playwright.sync_api import Error, sync_playwright

    path = os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)
    with sync_playwright() as started:
        try:
            # A browser that runs as root, as in a container, has no sandbox.
            browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-lcd-text"])
        except Error as error:
            raise NoChromiumError(
                f"no Chromium ({str(error).splitlines()[0]}): install one, or say where it is in CHROMIUM"
            ) from error
        yield browser
        browser.close()
