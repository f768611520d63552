"""The Lambda package as one file: `python3 tests/e2e/package.py FOLDER [ZIP]` prints its size and hash.

The same files give the same zip, byte for byte: sorted, with one date for all, as `sam build` leaves the date of the
build in the files. Only the standard library is used, for `make build` runs it before anything is installed.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

LIMIT_UNZIPPED = 250 * 2**20  # Lambda's, layers included
DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
READABLE = 0o644 << 16


@dataclass(frozen=True, slots=True)
class Package:
    """A zip, its number of files and the bytes they take unpacked."""

    content: bytes
    files: int
    unzipped: int

    @property
    def digest(self) -> str:
        """SHA-256 of the zip, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        """Sizes in MB (10^6 bytes) and the hash's beginning."""
        zipped, unzipped = len(self.content) / 1e6, self.unzipped / 1e6
        return f"{self.files} files, {zipped:.1f} MB zipped, {unzipped:.1f} MB unzipped, sha256 {self.digest[:16]}"


def package(folder: Path) -> Package:
    """Zip what `sam build` left in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path in paths:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, READABLE
            zipped.writestr(entry, path.read_bytes())
    return Package(archive.getvalue(), len(paths), sum(path.stat().st_size for path in paths))


def main() -> int:
    """Print the package's sizes and write the zip where one is named; return 1 if Lambda would refuse it."""
    made = package(Path(sys.argv[1]))
    if sys.argv[2:]:
        Path(sys.argv[2]).write_bytes(made.content)
    sys.stdout.write(f"package: {made}\n")
    return 1 if made.unzipped > LIMIT_UNZIPPED else 0


if __name__ == "__main__":
    sys.exit(main())
