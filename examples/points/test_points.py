"""The points of customers under crashes, throttles, lost answers and redeliveries: `python -m pytest`."""

from points import make_worker

from tablestream import Worker
from tablestream.simulation import Services, Stream


class Points:
    """One schedule: what the worker finds, how it starts, and what must hold."""

    def __init__(self, services: Services) -> None:
        """Take the services of the schedule."""
        self.services = services
        self.counted = services.tables.create("points", "pk")

    def start(self) -> Worker:
        """Return the worker, as after a cold start."""
        worker: Worker = make_worker(self.services.dynamodb)
        return worker

    def at_end(self) -> None:
        """Check that each customer has the points of all orders that are there."""
        wanted: dict[str, int] = {}
        for order in self.services.items.values():
            wanted[order["customer"]] = wanted.get(order["customer"], 0) + order["points"]
        accounts = [item for item in self.counted.items.values() if "points" in item]
        assert {item["pk"]["S"]: int(item["points"]["N"]) for item in accounts if item["points"]["N"] != "0"} == wanted


def test_each_order_counts_once_whatever_fails(stream: Stream) -> None:
    """A stream has changes; `play` plays them under many schedules."""
    stream.keyed("id", table="orders")
    stream.insert({"id": "1", "customer": "ann", "points": 5})
    stream.insert({"id": "2", "customer": "bob", "points": 7})
    stream.insert({"id": "3", "customer": "ann", "points": 1})
    stream.remove({"id": "3"})
    stream.play(Points)
