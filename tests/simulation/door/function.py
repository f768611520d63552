"""The HTTP API as a function of the simulated Lambda: its routes and stores, above a client with faults.

Powertools' resolver, which finds the route of a request and checks it, is left out: it keeps the request that is under
way on a class, and in a simulation several environments share one process.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal
from unittest.mock import patch

from shop.api.answers import Answer, answer, refusal
from shop.api.problems import internal, problem_of
from shop.api.routes.accounts import AccountRoutes
from shop.api.routes.orders import OrderRoutes
from shop.api.routes.users import UserRoutes
from shop.api.schemas import OrderBody, OrderChange, TransferBody
from shop.api.service import MARGIN_SECONDS, Current
from shop.keys import account_key, user_key
from shop.stores import Stores
from shop.stores.entity import INDEXES, Makers
from tablestream.aws import Aws
from tablestream.dynamodb import ItemStore, Nulls, Table
from tablestream.dynamodb.client import fit_for_tables
from tablestream.run import CALL_SHARE, Deadline, Run
from tablestream.testing import image
from tests.simulation.aws import INVENTORY
from tests.simulation.aws import Aws as SimulatedAws
from tests.simulation.boto import ENVIRONMENT, VARIABLES, Boto
from tests.simulation.door.errands import PLACING, USERS, Door, Errand, Want
from tests.simulation.network import Client, Network
from tests.simulation.stream import TABLE

TIMEOUT_SECONDS = 15.0
"""As template.yaml has it."""
COUNTER = {"pk": "COUNTER#0", "sk": "COUNTER"}
_OFFSETS = (0.0, 0.0, 0.5, -0.5, 2.0, -2.0, 300.0, -300.0, 2400.0, -2400.0)
"""Seconds by which the clock of an environment is wrong."""


@cache
def client_of_api() -> Boto:
    """The client of DynamoDB that the API makes, as a `Table` fits it; see `tests.simulation.boto`."""
    with patch.dict(os.environ, ENVIRONMENT):
        aws = Aws(VARIABLES)
        aws.prepare(MARGIN_SECONDS, 1)
        client: Any = fit_for_tables(aws.dynamodb)
        return Boto(client, client.meta.config.retries["total_max_attempts"])


class JumpingClock:
    """The clock of an execution environment: wrong by minutes, and by others after a jump."""

    def __init__(self, network: Network, rng: random.Random) -> None:
        self._scheduler = network.scheduler
        self._random = rng
        self._offset = 0.0
        self.jump()

    def jump(self) -> None:
        """Be wrong by something else from now on."""
        self._offset = self._random.choice(_OFFSETS)

    def now(self) -> float:
        return self._scheduler.now + self._offset

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)


class ApiFunction:
    """The function in one execution environment, with what a cold start makes."""

    def __init__(self, network: Network, rng: random.Random) -> None:
        client: Any = Client(network, network.aws.dynamodb, client_of_api())
        self._random = rng
        self._clock = JumpingClock(network, rng)
        self._current = Current()
        run = Run(Deadline(self._current.remaining, MARGIN_SECONDS * CALL_SHARE), self._clock)
        makers = Makers(self._clock.now, rng.getrandbits)
        table = Table(TABLE, client, indexes=INDEXES, nulls=Nulls.KEEP, run=run)
        stores = Stores.of(table, INVENTORY, makers)
        self._orders = OrderRoutes(stores.orders, makers)
        self._accounts = AccountRoutes(stores.accounts)
        self._users = UserRoutes(stores.users)
        self._counters = ItemStore(table)

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer a request: an errand, and for a change of an order its id and version."""
        self._current.begin({}, context)
        if self._random.random() < 0.2:
            self._clock.jump()
        try:
            answered = self._answer(event["errand"], event)
        except Exception as error:  # noqa: BLE001 -- as the API: whatever is raised is answered
            answered = refusal(problem_of(error) or internal(), "simulated")
        return {"status": answered.status_code, "body": json.loads(answered.body or "")}

    def _answer(self, errand: Errand, event: Mapping[str, Any]) -> Answer:
        if errand.want in PLACING:
            body = OrderBody.model_validate(errand.body())
            reserve: Literal["now"] | None = "now" if errand.want is Want.ORDER_NOW else None
            return self._orders.place_order(errand.who, body, reserve, errand.key or None)
        if errand.want is Want.TRANSFER:
            return self._accounts.transfer(TransferBody.model_validate(errand.body()), errand.key)
        if errand.want is Want.SETTINGS:
            return self._users.change_settings(errand.who, errand.body())
        if errand.want is Want.COUNT:
            return self._count(errand.mark)
        change = OrderChange.model_validate(errand.body(event["version"]))
        return self._orders.change_order(errand.who, event["order"], change)

    def _count(self, mark: int) -> Answer:
        """Count in an item that all environments share, as whoever uses the locks alone."""
        held = self._counters.change(
            COUNTER, lambda items: [{**COUNTER, "count": items[0]["count"] + 1 if items[0] else 1, "mark": mark}]
        )
        return answer({"version": held.lock.version})


def open_accounts(aws: SimulatedAws, door: Door) -> None:
    """Put the accounts and the users into the table that are there before the first errand."""
    for number, balance in enumerate(door.accounts):
        _store(aws, account_key(f"a{number}"), {"entityType": "Account", "accountId": f"a{number}", "balance": balance})
    for user in USERS if door.accounts else ():
        _store(aws, user_key(user), {"entityType": "User", "userId": user, "name": user})


def _store(aws: SimulatedAws, key: Mapping[str, str], attributes: Mapping[str, Any]) -> None:
    aws.orders.store((key["pk"], key["sk"]), image({**key, **attributes, "version": 1}))
