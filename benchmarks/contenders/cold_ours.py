"""The first invocation of the built package: the deployed function itself."""

from __future__ import annotations

from shop.app import handler

__all__ = ["handler"]
