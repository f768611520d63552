"""Stock that orders reserve and release, each exactly once.

`decisions` has the effects and what is written for them, `ledger` what is read, `sink` carries them out.
"""

from __future__ import annotations

from shop.stock.decisions import Release, Reserve

__all__ = ["Release", "Reserve"]
