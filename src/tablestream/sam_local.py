"""`sam local`: the template's references are not resolved there, so a function asks the stack on this machine for them.

That stack is the one that `make local` runs. It says under `AWS_ENDPOINT_URL`, by plain HTTP, what a function's
environment variables are; nothing here is used where `AWS_SAM_LOCAL` is not set, as it is not in AWS.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, MutableMapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlsplit

TIMEOUT_SECONDS = 1.0
"""The longest wait for a stack that is not there: a firewall can swallow the question."""

_OK = 200
_MOST_BYTES = 1 << 20


def join_stack(environ: MutableMapping[str, str]) -> str | None:
    """Give the environment the variables of the local stack, and return None; where none answers return why not."""
    address = environ.get("AWS_ENDPOINT_URL")
    if (found := stack_variables(environ)) is not None:
        environ.update(found)
        sys.stdout.write(f"Effects are carried out in the stack of `make local`, {address}\n")
        return None
    if not address:
        return "AWS_ENDPOINT_URL names no stack of `make local`"
    return f"`make local` does not answer at {address}"


def stack_variables(environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the variables of this function as the local stack has them; None where no such stack answers.

    Reads `AWS_ENDPOINT_URL` and `AWS_LAMBDA_FUNCTION_NAME` of the environment.
    """
    try:
        endpoint = urlsplit(environ.get("AWS_ENDPOINT_URL", ""))
        port = endpoint.port
    except ValueError:
        return None
    if endpoint.scheme != "http" or not endpoint.hostname:
        return None
    path = "/_tablestream/variables/" + quote(environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), safe="")
    try:
        return _variables(HTTPConnection(endpoint.hostname, port, timeout=TIMEOUT_SECONDS), path)
    except (OSError, HTTPException, ValueError):
        return None


def _variables(connection: HTTPConnection, path: str) -> Mapping[str, str] | None:
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        told = json.loads(response.read(_MOST_BYTES)) if response.status == _OK else None
    finally:
        connection.close()
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        return None
    return told
