"""Leaves in a package the data of those services only that the worker calls; `make build` runs it.

botocore looks through the folders of all 400 services when the first client is made, and reads the endpoints of all.
Without the others a cold start takes less CPU, and the package is a third of its size. A client of another service
then raises `UnknownServiceError`: add the service here.

Usage: python3 trim_botocore.py FOLDER_OF_THE_PACKAGE
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

SERVICES = frozenset({"dynamodb", "s3", "sns"})


def main() -> None:
    """Trim the package."""
    data = Path(sys.argv[1]) / "botocore" / "data"
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    endpoints = data / "endpoints.json"
    known = json.loads(endpoints.read_text(encoding="utf-8"))
    for partition in known["partitions"]:
        partition["services"] = {name: kept for name, kept in partition["services"].items() if name in SERVICES}
    endpoints.write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
