"""Rules 3, 4 and 5: which shards are read, when and from where."""

from __future__ import annotations

from tablestream.local.delivery.mapping import MappingSettings, StartingPosition
from tablestream.local.delivery.protocol import Invoke
from tablestream.local.delivery.shard import Begin, Progress, Shard, ShardDelivery, ShardPlan
from tablestream.local.trigger.memory_stream import MemoryStream
from tablestream.local.trigger.stream import After, Position, TrimHorizon
from tests.conformance.driver import SUCCESS, numbers, records

GRANDPARENT = Shard("grandparent", closed=True)
PARENT = Shard("parent", "grandparent", closed=True)
LEFT = Shard("left", "parent")
RIGHT = Shard("right", "parent")


def horizon(shard_id: str) -> Begin:
    return Begin(shard_id, "TRIM_HORIZON")


def test_rule_03_latest_begins_behind_everything_that_is_there() -> None:
    plan = ShardPlan("LATEST")
    assert plan.update([PARENT, LEFT]) == [Begin("left", "LATEST")]


def test_rule_03_trim_horizon_begins_at_the_oldest_shard() -> None:
    assert ShardPlan("TRIM_HORIZON").update([PARENT, LEFT]) == [horizon("parent")]


def test_rule_04_a_restart_resumes_behind_the_checkpoints() -> None:
    plan = ShardPlan("TRIM_HORIZON")
    plan.update([GRANDPARENT, PARENT, LEFT])
    plan.finished("grandparent")
    plan.checkpointed("parent", "17")
    again = ShardPlan("LATEST", plan.progress)
    assert again.update([GRANDPARENT, PARENT, LEFT]) == [Begin("parent", "TRIM_HORIZON", "17")]
    assert again.finished("parent") == [horizon("left")]


def test_rule_04_progress_forgets_shards_that_are_gone() -> None:
    plan = ShardPlan("TRIM_HORIZON", Progress({}, frozenset({"long ago", "parent"})))
    plan.update([PARENT])
    assert plan.progress == Progress({}, frozenset({"parent"}))


def test_rule_05_a_parent_is_finished_before_its_children_begin() -> None:
    plan = ShardPlan("TRIM_HORIZON")
    assert plan.update([RIGHT, LEFT, PARENT, GRANDPARENT]) == [horizon("grandparent")]
    assert plan.update([RIGHT, LEFT, PARENT, GRANDPARENT]) == []
    assert plan.finished("grandparent") == [horizon("parent")]
    assert plan.finished("parent") == [horizon("right"), horizon("left")]


def test_rule_05_a_parent_that_is_no_longer_listed_does_not_block() -> None:
    assert ShardPlan("TRIM_HORIZON").update([PARENT]) == [horizon("parent")]


def test_rule_05_children_found_later_begin_at_trim_horizon_also_under_latest() -> None:
    plan = ShardPlan("LATEST")
    plan.update([Shard("parent")])
    assert plan.update([Shard("parent", closed=True), LEFT]) == []
    assert plan.finished("parent") == [horizon("left")]


def position_of(begin: Begin, source: MemoryStream) -> Position:
    if begin.checkpoint is not None:
        return After(begin.checkpoint)
    return source.latest(begin.shard_id) if begin.start == "LATEST" else TrimHorizon()


def deliver_all(source: MemoryStream, starting_position: StartingPosition) -> list[int]:
    """Read and deliver every shard in the order of the plan; returns the sequence numbers as delivered."""
    plan, delivered = ShardPlan(starting_position), list[int]()
    todo = plan.update(source.shards())
    while todo:
        begin = todo.pop(0)
        delivery = ShardDelivery(MappingSettings(batch_size=3), begin.shard_id, source.stream_arn)
        page = source.read(begin.shard_id, position_of(begin, source))
        delivery.offer(page.records, 0)
        if page.at_end:
            delivery.close()
        while actions := delivery.due(0):
            for action in actions:
                assert isinstance(action, Invoke)
                delivered += numbers(action.records)
                delivery.answered(action.id, SUCCESS, 0)
        if delivery.finished:
            todo += plan.finished(begin.shard_id)
    return delivered


def test_rule_05_changes_keep_their_order_across_a_split() -> None:
    source = MemoryStream()
    source.open("parent")
    source.append("parent", records(range(1, 6)))
    source.close("parent")
    for child, held in (("left", [6, 8]), ("right", [7, 9])):
        source.open(child, "parent")
        source.append(child, records(held))
    assert deliver_all(source, "TRIM_HORIZON") == [1, 2, 3, 4, 5, 6, 8, 7, 9]
