"""The first invocation of the built package: the deployed function itself."""

from __future__ import annotations

from shop.processor import handler

__all__ = ["handler"]
