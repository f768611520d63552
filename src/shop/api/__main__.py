"""`python -m shop.api FILE`: write the OpenAPI document of the API, as building the package does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from shop.api.openapi import document
from shop.api.service import Api
from shop.stock.decisions import Tables

if __name__ == "__main__":
    unused = SimpleNamespace(get_item=None)  # a table wants a client, but nothing is asked of this one
    Path(sys.argv[1]).write_text(document(Api(Tables("table", "inventory"), unused, lambda _: None)), encoding="utf-8")
