"""The first request of the HTTP function, as it is packaged."""

from __future__ import annotations

from shop.api.app import handler

__all__ = ["handler"]
