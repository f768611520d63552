"""docs/api.md: its commands are run as they stand there, and answer what stands below them."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.cloudformation import ROOT
from tests.support.http_requests import request
from tests.support.shop_api import Answered, ShopApi

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^```sh\n(.*?)^```\n\n```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
URL = re.findall(r"^ {4}API=(\S+)$", PAGE, re.MULTILINE)


def curl(api: ShopApi, command: str) -> Answered:
    """Send what curl would send."""
    words = iter(shlex.split(command)[1:])
    method, body, url, headers = "GET", None, "", {}
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "--json":
            body = next(words)
            method = "POST" if method == "GET" else method
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name.lower()] = value
        elif word != "-s":
            url = word
    parts = urlsplit(url)
    return api.send(request(method, parts.path, body, dict(parse_qsl(parts.query)), **headers))


def alike(got: Any, wanted: Any) -> bool:
    """Tell whether an answer is the one that is shown; … stands for any text."""
    if isinstance(wanted, dict):
        return (
            list(got) != [] and got.keys() == wanted.keys() and all(alike(got[name], wanted[name]) for name in wanted)
        )
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(alike, got, wanted))
    return bool(got == wanted) or (wanted == "…" and isinstance(got, str))


def test_a_first_session_goes_as_it_is_shown(api: ShopApi) -> None:
    known = {"API": URL[0]}
    answer = Answered(0, {}, "{}")
    assert len(STEPS) > 8
    for commands, shown in STEPS:
        for line in commands.splitlines():
            if line == "ORDER=…":
                known["ORDER"] = answer.body["orderId"]
                continue
            if line.startswith("VERSION="):
                known["VERSION"] = str(answer.body["current"]["version"])
                continue
            answer = curl(api, re.sub(r"\$([A-Z]+)", lambda found: known[found[1]], line))
            assert answer.status != 404, line
        assert alike(answer.body, json.loads(shown)), f"{commands}{answer.text}"
