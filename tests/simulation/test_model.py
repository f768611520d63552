"""The shop against a model: orders placed, changed, cancelled, removed, expired, delivered twice, sent again.

Hypothesis looks for a sequence after which the tables are not what a dozen lines of bookkeeping say they are. Where
DYNAMODB_LOCAL_ENDPOINT names AWS's DynamoDB Local, every call is made there too, and has the same outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shop.worker import make_worker
from tablestream import aws as aws_module
from tablestream.run import Sequential
from tablestream.testing import FakeClock, FakeContext
from tests.simulation.aws import INVENTORY, Aws
from tests.simulation.boto import VARIABLES
from tests.simulation.emulators import DYNAMODB_LOCAL, Compared, emulated
from tests.simulation.judge import lines_of
from tests.simulation.script import Shop, Write
from tests.simulation.stream import TABLE, Stream
from tests.simulation.wanted import Wanted, wanted_of

Record = Mapping[str, Any]
Order = tuple[str, str]
ORDERS = st.integers(0, 5)
LINES = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3)), min_size=1, max_size=2).map(tuple)
PLACES = st.sampled_from(["place", "place", "place", "place draft"])
CHANGES = st.sampled_from(
    ["cancel", "ship", "deliver", "remove", "expire", "edit", "edit items", "touch", "draft", "reopen"]
)


@dataclass
class Model:
    """What the shop's ledger, stock and announcements have to be."""

    stock: dict[str, int]
    ledger: dict[Order, tuple[str, Mapping[str, int]]] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)

    def wave(self, records: Sequence[Wanted], statuses: Mapping[Order, str]) -> None:
        """Take one change of each of some orders: what comes back can be given out at once."""
        for wanted in records:
            if wanted.release:
                self._release(wanted.order)
        for wanted in records:
            if wanted.reserve and wanted.order not in self.ledger:
                lines = lines_of(wanted.record["dynamodb"]["NewImage"])
                self._reserve(wanted.order, lines, pending=statuses.get(wanted.order) == "pending")
        self.announced |= {wanted.event_id: wanted.notification for wanted in records if wanted.notification}

    def _release(self, order: Order) -> None:
        state, lines = self.ledger.get(order, ("", {}))
        if state == "RESERVED":
            for product, units in lines.items():
                self.stock[product] += units
        self.ledger[order] = {"": ("WITHDRAWN", lines), "RESERVED": ("RELEASED", lines)}.get(state, (state, lines))

    def _reserve(self, order: Order, lines: Mapping[str, int], *, pending: bool) -> None:
        enough = all(self.stock[product] >= units for product, units in lines.items())
        if pending and enough:
            for product, units in lines.items():
                self.stock[product] -= units
        self.ledger[order] = (("RESERVED" if enough else "REJECTED") if pending else "WITHDRAWN", lines)


def waves_of(records: Sequence[Wanted]) -> list[list[Wanted]]:
    """The first change of each order, then the second of each, each record once."""
    lanes: dict[Order, list[Wanted]] = {}
    for wanted in sorted({wanted.event_id: wanted for wanted in records}.values(), key=lambda wanted: wanted.number):
        lanes.setdefault(wanted.order, []).append(wanted)
    longest = max(map(len, lanes.values()), default=0)
    return [[lane[turn] for lane in lanes.values() if len(lane) > turn] for turn in range(longest)]


class ShopMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.waiting: list[Record] = []
        self.delivered: list[Record] = []
        self.stream = Stream(1, 10**21 - 5, self.clock.now, lambda _shard, record: self.waiting.append(record))
        self.aws = Aws(self.clock.now, self._changed)
        self.open = ExitStack()
        self.compared: Compared | None = None
        if DYNAMODB_LOCAL:
            self.compared = Compared(self.aws, self.open.enter_context(emulated("DynamoDB Local")))
        dynamodb = self.aws.dynamodb if self.compared is None else self.compared.dynamodb
        self.shop = Shop(self.aws, self.stream)
        clients = {"dynamodb": dynamodb, "sns": self.aws.topic, "s3": self.aws.bucket}
        named = aws_module.Aws(VARIABLES, clients=clients)
        self.worker = make_worker(named, clock=self.clock, parallel=Sequential()).handler(named)

    @initialize(units=st.tuples(st.integers(0, 8), st.integers(0, 8)))
    def stock(self, units: tuple[int, int]) -> None:
        self.model = Model({f"p{number}": count for number, count in enumerate(units)})
        for product, count in self.model.stock.items():
            self.aws.stock(product, count)
        for item in self.aws.inventory.items.values():
            self._mirrored({}, item, INVENTORY)

    @rule(order=ORDERS, lines=LINES, kind=PLACES)
    def place(self, order: int, lines: tuple[tuple[int, int], ...], kind: str) -> None:
        self._write(Write(0.0, kind, order, lines))

    @rule(order=ORDERS, lines=LINES, kind=CHANGES)
    def change(self, order: int, lines: tuple[tuple[int, int], ...], kind: str) -> None:
        self._write(Write(0.0, kind, order, lines))

    @precondition(lambda self: self.waiting)
    @rule(count=st.integers(1, 8))
    def deliver(self, count: int) -> None:
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        self.delivered += batch
        self._invoke(batch)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """A part of what was delivered comes once more, as after a lost answer."""
        first = data.draw(st.integers(0, len(self.delivered) - 1))
        repeated = self.delivered[first : first + data.draw(st.integers(1, 8))]
        before = dict(self.model.announced)
        self._invoke(repeated)
        assert self.model.announced == before

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """An operator sends some records once more, shuffled and much later."""
        chosen = data.draw(st.lists(st.sampled_from(self.delivered), min_size=1, max_size=5))
        self.clock.advance(7200)
        self._invoke([{**record, "redriven": True} for record in chosen])

    @invariant()
    def the_books_are_as_the_model_has_them(self) -> None:
        if not hasattr(self, "model"):
            return
        assert {product: self.aws.available(product) for product in self.model.stock} == self.model.stock
        states = {order: entry["state"]["S"] for order, entry in self.aws.ledger().items()}
        assert states == {order: state for order, (state, _) in self.model.ledger.items()}
        assert {m.event_id: m.body["type"] for m in self.aws.topic.published} == self.model.announced
        assert self.compared is None or self.compared.same_items()

    def teardown(self) -> None:
        self.open.close()

    def _changed(self, keys: Mapping[str, Any], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        self.stream(keys, old, new)
        self._mirrored(keys, new, TABLE)

    def _mirrored(self, keys: Mapping[str, Any], new: Mapping[str, Any] | None, table: str) -> None:
        if self.compared is not None:
            self.compared.wrote(keys, new, table)

    def _write(self, write: Write) -> None:
        # An order's id is used once: a ledger item outlives its order.
        number = write.order + 100 * sum(
            self._placed(write.order + 100 * n) and not self._exists(write.order + 100 * n) for n in range(20)
        )
        self.clock.advance(0.01)
        self.shop.write(Write(write.at, write.kind, number, write.lines))

    def _placed(self, number: int) -> bool:
        return any(record["dynamodb"]["Keys"]["sk"]["S"] == f"ORDER#{number}" for record in self.stream.records)

    def _exists(self, number: int) -> bool:
        return any(sk == f"ORDER#{number}" for _, sk in self.aws.orders.items)

    def _invoke(self, batch: Sequence[Record]) -> None:
        statuses = {(pk, sk): item["status"]["S"] for (pk, sk), item in self.aws.orders.items.items()}
        for wave in waves_of(list(wanted_of(batch))):
            self.model.wave(wave, statuses)
        answer = self.worker({"Records": list(batch)}, FakeContext(clock=self.clock))
        assert answer == {"batchItemFailures": []}


ShopMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
)
TestShopAgainstAModel = ShopMachine.TestCase
