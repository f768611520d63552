"""Chromium, and a shop that it looks at. Without a browser here the tests are skipped, or fail if one is required."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import NoChromiumError
from tests.browser.chromium import chromium as started
from tests.support.local_shop import LocalShop, local_shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api", reason="it is installed by `make browser`")
    try:
        with started() as browser:
            yield browser
    except NoChromiumError as error:
        if os.environ.get("REQUIRE_BROWSER"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shop() -> Iterator[LocalShop]:
    with local_shop() as running:
        yield running
