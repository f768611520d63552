"""What the peers' handlers do with an item: stubs that only count, so that what is measured is how they got there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

done: Counter[str] = Counter()


def dispatch(name: str, new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> None:
    """Do what a tutorial's switch on the event's name does; nothing for other entities."""
    image = new or old or {}
    if image.get("entityType") != "Order":
        return
    if name == "INSERT":
        done["reserve"] += 1
        done["announce"] += 1
    elif name == "MODIFY":
        if new and old and new["status"] != old["status"]:
            done["announce"] += 1
    else:
        done["announce"] += 1
