from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.shop_api import ShopApi, shop_api


@pytest.fixture(scope="module")
def api() -> Iterator[ShopApi]:
    """One table for all tests of a file: each uses ids of its own."""
    with shop_api() as made:
        yield made
