"""The failures bucket: reading, and moving such that nothing is gone before its copy is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tablestream.ops.parked import Stored
from tablestream.run import Parallel, Sequential

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AHEAD = 32
"""Objects that are read side by side; each may hold some megabytes."""
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})


class FailuresBucket:
    """One bucket. Every write is conditional on what was read: who comes second finds out."""

    def __init__(self, client: S3Client, name: str, parallel: Parallel | None = None) -> None:
        """Take a boto3 S3 client and the bucket's name."""
        self.client = client
        self.name = name
        self.parallel = parallel or Sequential()

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        for page in pages:
            yield from [entry["Key"] for entry in page.get("Contents", ()) if not entry["Key"].endswith("/")]

    def read_all(self, keys: Iterable[str]) -> Iterator[Stored]:
        """Yield the objects with these keys, less those that are gone meanwhile; some are read ahead."""
        rest = iter(keys)
        while part := list(islice(rest, _AHEAD)):
            found = self.parallel.run([partial(self.read, key) for key in part])
            yield from [stored for stored in found if stored is not None]

    def read(self, key: str, etag: str | None = None) -> Stored | None:
        """Return an object; None when it is gone, or no longer the one with this ETag."""
        wanted: Any = {} if etag is None else {"IfMatch": etag}
        try:
            found = self.client.get_object(Bucket=self.name, Key=key, **wanted)
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return None
            raise
        return Stored(key, found["ETag"], found["Body"].read())

    def write(self, key: str, body: bytes, *, etag: str | None = None, new: bool = False) -> str | None:
        """Write an object and return its ETag; None, and nothing is written, when the condition does not hold.

        `etag` is that of the object to be replaced; `new` means that there must be none.
        """
        condition: Any = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"} if new else {}
        try:
            made = self.client.put_object(
                Bucket=self.name, Key=key, Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return None
            raise
        return made["ETag"]

    def move(self, key: str, etag: str, to: str) -> bool:
        """Move an object under a prefix; False, and it stays, when it is no longer the one with this ETag.

        Copy first, then delete: whoever is interrupted in between does both again.
        """
        try:
            self.client.copy_object(
                Bucket=self.name, Key=to + key, CopySource={"Bucket": self.name, "Key": key}, CopySourceIfMatch=etag
            )
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=etag)
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return False
            raise
        return True

    def delete(self, key: str, etag: str) -> None:
        """Delete an object, unless it has changed."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=etag)
        except ClientError as error:
            if code_of(error) not in MISSING | _CHANGED:
                raise


def code_of(error: ClientError) -> str:
    """Return the error code that S3 gave."""
    return str(error.response.get("Error", {}).get("Code", ""))
