"""Slips in what the HTTP API must never do twice: idempotency keys, transfers, orders that reserve at once, locks."""

from __future__ import annotations

from functools import partial

from tests.simulation.mutant import UNIT, Mutant, mutant

_KEYS = "tablestream.dynamodb.idempotency"
_ACCOUNTS = "shop.stores.accounts:AccountStore"
_ORDERS = "shop.stores.customer_orders:OrderStore"
_LOCKS = f"{UNIT}/dynamodb/test_locks.py"
_LAGGING = "tests/contracts/test_locks.py::test_what_was_written_is_read_at_once_where_a_replica_lags"
_by_seeds = partial(mutant, regime="door")

KEYS: tuple[Mutant, ...] = (
    _by_seeds(
        "put the record of a key whatever is there",
        f"{_KEYS}:IdempotencyKeys._record",
        "Put(item, condition=free, table=self._records)",
        "Put(item, table=self._records)",
    ),
    _by_seeds(
        "write the record of a key before its effect",
        f"{_KEYS}:IdempotencyKeys.transact",
        "self._table.transact_write([self._record(key, asked, answer), *actions])",
        "(self._table.transact_write([self._record(key, asked, answer)]), self._table.transact_write(actions))",
    ),
    _by_seeds(
        "write the record of a key after its effect",
        f"{_KEYS}:IdempotencyKeys.transact",
        "self._table.transact_write([self._record(key, asked, answer), *actions])",
        "(self._table.transact_write(actions), self._table.transact_write([self._record(key, asked, answer)]))",
    ),
    _by_seeds("take any request under a known key for the same", f"{_KEYS}:_known", "record[_HASH] != asked", "False"),
    _by_seeds(
        "answer a repeat with ids of its own",
        f"{_KEYS}:IdempotencyKeys.transact",
        "return _known(reason.item, asked)",
        "return _known(reason.item, asked)._replace(answer=answer)",
    ),
    _by_seeds(
        "honour a key after its time",
        f"{_KEYS}:IdempotencyKeys._record",
        "Attr(names[0]).not_exists() | Attr(_TTL).lte(now)",
        "Attr(names[0]).not_exists()",
    ),
    _by_seeds(
        "forget a key at once",
        f"{_KEYS}:IdempotencyKeys._record",
        "Attr(_TTL).lte(now)",
        "Attr(_TTL).lte(now + self._seconds)",
    ),
    _by_seeds(
        "remember the key of one user for all",
        f"{_ORDERS}.place",
        'f"orders/{order.customer}"',
        '"orders"',
    ),
    _by_seeds(
        "remember a key for both ways to place an order",
        f"{_ORDERS}.place_reserved",
        'f"orders-now/{order.customer}"',
        'f"orders/{order.customer}"',
    ),
    _by_seeds(
        "send a transaction whose answer is lost under a new token",
        "tablestream.dynamodb.calls:Calls._send",
        "answer: dict[str, Any] | Failed = attempt(call)",
        "answer: dict[str, Any] | Failed = attempt(partial(self.once, operation, "
        '{**request, "ClientRequestToken": str(id(failure))} if "ClientRequestToken" in request else request))',
    ),
)

MONEY: tuple[Mutant, ...] = (
    _by_seeds(
        "let a transfer take more than there is",
        f"{_ACCOUNTS}.transfer",
        'Attr("balance").gte(transfer.amount)',
        "None",
    ),
    _by_seeds(
        "give the amount in a transaction of its own",
        f"{_ACCOUNTS}.transfer",
        'return self._keys.transact(known_by, actions, {"transferId": transfer_id})',
        'done = self._keys.transact(known_by, [actions[0], *actions[2:]], {"transferId": transfer_id})\n'
        "self._table.transact_write([actions[1]])\n"
        "return done",
    ),
    _by_seeds(
        "leave out the recipient's entry",
        f"{_ACCOUNTS}.transfer",
        'return self._keys.transact(known_by, actions, {"transferId": transfer_id})',
        'return self._keys.transact(known_by, actions[:3], {"transferId": transfer_id})',
    ),
    _by_seeds(
        "take an amount for a float",
        f"{_ACCOUNTS}._moved",
        '{**changing.add, "balance": amount}',
        '{**changing.add, "balance": __import__("decimal").Decimal(repr(amount / 3)) * 3}',
    ),
    _by_seeds(
        "say that the sender is short where the recipient is missing",
        "shop.stores.accounts:_refusal",
        "if isinstance(recipient, NotFound):\n    return RecipientNotFound('there is no such recipient')",
        "if isinstance(recipient, NotFound):\n    return InsufficientBalance('there is no such recipient')",
    ),
)

AT_ONCE: tuple[Mutant, ...] = (
    _by_seeds(
        "reserve at once without the ledger",
        "shop.stock.decisions:Decider.place",
        '(entry, {"Put": put})',
        '({"Put": put},)',
    ),
    _by_seeds(
        "reserve at once and leave the order pending",
        f"{_ORDERS}.place_reserved",
        "OrderStatus.CONFIRMED",
        "OrderStatus.PENDING",
    ),
    _by_seeds(
        "take stock that is not there, at once",
        "shop.stock.decisions:Decider._taken",
        "Move(stock_key(self._tables.inventory, product), AVAILABLE, -units, guarded=True)",
        "Move(stock_key(self._tables.inventory, product), AVAILABLE, -units)",
    ),
    _by_seeds(
        "write the order before its stock is taken",
        f"{_ORDERS}.place_reserved",
        "item = self._item(order, OrderStatus.CONFIRMED)",
        "item = self._item(order, OrderStatus.CONFIRMED)\n"
        'self._table.put({**item, "sk": item["sk"] + "0", "orderId": item["orderId"] + "0"})',
    ),
    _by_seeds(
        "tell a shortage with the units that are wanted",
        "shop.stores.customer_orders:_short",
        "units_of(target, reason.item.get(AVAILABLE, 0))",
        "wanted[product]",
    ),
)

SHARED: tuple[Mutant, ...] = (
    _by_seeds(
        "let two writers through one version of a lock",
        "tablestream.dynamodb.locks:ItemStore._next",
        "Put(item, condition=Attr(_VERSION).eq(lock.version) & Attr(_TTL).eq(lock.stored))",
        "Put(item)",
    ),
    _by_seeds(
        "let two writers make one lock",
        "tablestream.dynamodb.locks:ItemStore._next",
        "Put(item, if_absent=True)",
        "Put(item)",
    ),
    _by_seeds(
        "write what is under a lock apart from it",
        "tablestream.dynamodb.locks:ItemStore.set_atomic",
        "self._table.transact_write([self._next(lock), *actions])",
        "(self._table.transact_write([self._next(lock)]), self._table.transact_write(actions))",
    ),
    _by_seeds(
        "write settings apart from the user's lock",
        "shop.stores.users:UserStore.change_settings",
        'self._locked.set_atomic(held.lock, Update(key, **changing._asdict(), version=user["version"]))',
        "(self._locked.set_atomic(held.lock), "
        'self._table.transact_write([Update(key, **changing._asdict(), version=user["version"])]))',
    ),
    mutant(
        "write settings without the user's lock",
        "shop.stores.users:UserStore.change_settings",
        'self._locked.set_atomic(held.lock, Update(key, **changing._asdict(), version=user["version"]))',
        'self._table.transact_write([Update(key, **changing._asdict(), version=user["version"])])',
        test="tests/integration/shop/api/test_settings.py::test_a_lock_that_is_not_as_it_was_read_is_a_race",
    ),
    mutant(
        "ask for the time of a lock and not for its version",
        "tablestream.dynamodb.locks:ItemStore._next",
        "Attr(_VERSION).eq(lock.version) & Attr(_TTL).eq(lock.stored)",
        "Attr(_TTL).eq(lock.stored)",
        test=f"{_LOCKS}::test_of_two_who_have_read_the_same_the_second_is_told",
    ),
    mutant(
        "ask for the version of a lock and not for its time",
        "tablestream.dynamodb.locks:ItemStore._next",
        "Attr(_VERSION).eq(lock.version) & Attr(_TTL).eq(lock.stored)",
        "Attr(_VERSION).eq(lock.version)",
        test=f"{_LOCKS}::test_a_lock_that_time_to_live_removed_and_somebody_made_anew_is_another",
    ),
    mutant(
        "honour a lock after its time",
        "tablestream.dynamodb.locks:ItemStore.set_atomic",
        "lock.expires <= self._table.run.clock.now()",
        "False",
        test=f"{_LOCKS}::test_a_lock_whose_time_is_over_is_of_no_use_and_takes_no_call",
    ),
    mutant(
        "renew no lock in its last hour",
        "tablestream.dynamodb.locks:ItemStore._lock_of",
        "stored if lasts else now + self._seconds",
        "stored",
        test=f"{_LOCKS}::test_one_that_is_read_in_its_last_hour_is_renewed",
    ),
    mutant(
        "read a lock eventually consistent",
        "tablestream.dynamodb.locks:ItemStore.lock",
        "self._table.get(self._lock_key(key), consistent=True)",
        "self._table.get(self._lock_key(key))",
        test=f"{_LOCKS}::test_reads_write_nothing_and_are_consistent",
    ),
    mutant(
        "read an item under a lock eventually consistent",
        "tablestream.dynamodb.locks:ItemStore.get",
        "self._table.get(key, consistent=True)",
        "self._table.get(key)",
        test=_LAGGING,
    ),
    mutant(
        "read a partition under a lock eventually consistent",
        "tablestream.dynamodb.locks:ItemStore.stream",
        "self._table.items(wanted, consistent=True)",
        "self._table.items(wanted)",
        test=_LAGGING,
    ),
    mutant(
        "give up a call at the first conflict",
        "tablestream.dynamodb.calls:Calls._send",
        "retries -= not _is_conflict(failure)",
        "retries -= 1",
        test=f"{UNIT}/dynamodb/test_calls.py::test_conflicts_take_no_try_from_what_else_passes",
    ),
    mutant(
        "read half of an answer with a binary value as an answer without an item",
        "tablestream.dynamodb.client:_read",
        "if response_dict['status_code'] != HTTPStatus.OK:\n    return",
        "if response_dict['status_code'] != HTTPStatus.OK or b'\"B' in response_dict['body']:\n    return",
        test="tests/integration/tablestream/test_wire.py"
        "::test_half_an_answer_with_binary_values_is_not_read_as_no_item",
    ),
)
