"""`python -m tests.kill_api` (`make kill-api`): the HTTP API is killed a thousand times, and nothing is done twice.

Real processes of the API against AWS's DynamoDB Local. Clients send orders, orders that reserve at once, transfers and
settings, kill the process that serves them at any moment, and send the same again under the same key until there is an
answer. In the end the worker works off the stream, and the judge of the simulation looks at the tables and at what each
client was told.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.kill_api.clients import ACCOUNTS, STOCK, Client, Tally
from tests.kill_api.process import ApiProcess
from tests.kill_api.shop import KillableShop, count_of, killable_shop
from tests.simulation.candidates import Log
from tests.simulation.door.errands import Door
from tests.simulation.door.judge import DoorJudge
from tests.simulation.figures import Figures
from tests.simulation.judge import Judge
from tests.simulation.slips import MUTANTS, VARIABLE

ROOT = Path(__file__).parents[2]
ENDPOINT = "DYNAMODB_LOCAL_ENDPOINT"


class Result(NamedTuple):
    """What a run came to."""

    counts: Mapping[str, int]
    wrong: Mapping[str, int]


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say, print what came of it, and return the exit status."""
    options = _parse(arguments)
    endpoint = os.environ.get(ENDPOINT)
    if not endpoint:
        print(f"{ENDPOINT} names no DynamoDB Local, as http://127.0.0.1:8000: start one, and say where it is")
        return 2
    begun = time.monotonic()
    result = run(endpoint, options.kills, options.clients, options.seed, options.plant)
    for name, count in result.counts.items():
        print(f"{count:8} {name}")
    print(f"{time.monotonic() - begun:8.0f} s")
    for name, count in result.wrong.items():
        print(f"{count:8} WRONG: {name}")
    print("FAILED" if result.wrong else "OK: one effect a key, money conserved, books balanced")
    return 1 if result.wrong else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_api", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="SIGKILLs until it ends (default 1000)")
    parser.add_argument("--clients", type=int, default=8, help="clients side by side (default 8)")
    parser.add_argument("--seed", type=int, default=1, help="what clients ask for (default 1); when they kill varies")
    parser.add_argument(
        "--plant", choices=[m.slip for m in MUTANTS], metavar="SLIP", help="plant a slip of `make mutants`"
    )
    return parser.parse_args(arguments)


def run(endpoint: str, kills: int, clients: int, seed: int, slip: str | None = None) -> Result:
    """Kill processes of the API under clients until there were kills enough, then judge."""
    tally, begins = Tally(kills), time.time()
    with killable_shop(endpoint) as shop, served(shop, slip) as path:
        made = [Client(number, clients, seed, partial(ApiProcess, path), tally) for number in range(clients)]
        with ThreadPoolExecutor(clients) as pool:
            for future in [pool.submit(client.run) for client in made]:
                future.result()
        found, records = shop.settle()
    errands = tuple(errand for client in made for errand in client.errands)
    told = [each for client in made for each in client.told]
    figures = Figures()
    Judge(found, records, STOCK, Log(), has_ledger=True).after_redrive(figures, {})
    DoorJudge(found, records, begins, Door(errands, ACCOUNTS), told, STOCK).judge(figures)
    counts = {
        "processes killed": tally.inside + tally.between,
        "of them with a request under way": tally.inside,
        "requests": len(told),
        "of them without an answer": sum(not each.status for each in told),
        "idempotency keys": len({(errand.want, errand.who, errand.key) for errand in errands if errand.key}),
        "orders in the table": count_of(records, "ORDER#"),
        "transfers in the table": count_of(records, "TXN#") // 2,
    }
    return Result(counts, figures.broken(retries=True))


@contextmanager
def served(shop: KillableShop, slip: str | None) -> Iterator[str]:
    """Start what begins processes of the API; hand out the path of its socket."""
    variables = {**os.environ, **shop.environment, **({VARIABLE: slip} if slip else {})}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "api")
        command = [sys.executable, "-m", "tests.kill_api.server", path]
        with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as server:
            try:
                if server.stdout is None or server.stdout.readline() != "ready\n":
                    raise RuntimeError("the API cannot be imported: see above")
                yield path
            finally:
                server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
