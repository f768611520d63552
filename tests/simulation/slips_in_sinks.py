"""Slips in carrying effects out, and in the shop's stock."""

from __future__ import annotations

from tests.simulation.mutant import BATCHES, SCHEDULES, UNIT, Mutant, mutant
from tests.simulation.planting import Edit

SINKS: tuple[Mutant, ...] = (
    mutant(
        "lend every sink all the time that is left",
        "tablestream._engine.waves:Waves._run_sink",
        "run if alone else run.less(_LEFT_FOR_OTHERS)",
        "run",
        test=f"{SCHEDULES}::test_while_the_inventory_table_hangs_other_orders_are_announced",
    ),
    mutant(
        "let what a sink raises leave the worker when it is no Exception",
        "tablestream._engine.waves:_checked",
        "BaseException",
        "Exception",
        test=f"{UNIT}/test_worker.py::test_whatever_a_sink_raises_its_neighbours_effects_are_journalled",
    ),
    mutant(
        "take only botocore's own errors for those of a call",
        "tablestream.dynamodb.client:attempt",
        "Exception",
        '(__import__("botocore").exceptions.ClientError, __import__("botocore").exceptions.BotoCoreError)',
        test=f"{SCHEDULES}::test_what_one_unreadable_answer_leaves_open_repeats_no_other_notification",
    ),
    mutant(
        "take any answer with a status of 200 for DynamoDB's", "tablestream.dynamodb.client:_check", "", "return None"
    ),
    mutant(
        "take a message that the answer does not name for published",
        "tablestream.sinks.messages:read_by_id",
        "answers.get(str(place), untold(service))",
        "answers.get(str(place), DONE)",
    ),
    mutant(
        "ignore PublishBatch's Failed",
        "tablestream.sinks.sns:Topic._publish",
        'read_by_id("SNS", batch, response.get("Successful", ()), response.get("Failed", ()))',
        'read_by_id("SNS", batch, [*response.get("Successful", ()), *response.get("Failed", ())], ())',
    ),
    mutant(
        "treat a conflict as poison",
        "tablestream.dynamodb.errors:kind_of_code",
        "_KINDS.get(code, default)",
        '_KINDS.get(code, default) if "Conflict" not in code else ErrorKind.INVALID',
    ),
    mutant(
        "count an async function as done",
        "tablestream.sink:never_ran",
        "",
        "return False",
        test=f"{UNIT}/test_sink.py::test_a_coroutine_or_generator_that_comes_back_is_never_done",
    ),
    mutant(
        "take an async function for a sink",
        "tablestream.sink:is_lazy",
        "",
        "return False",
        test=f"{UNIT}/test_sink.py::test_a_function_that_would_never_run_is_refused_when_it_is_registered",
    ),
    mutant(
        "call the functions behind `each` one after the other",
        "tablestream.sink:_FunctionSink.apply",
        "run.parallel if self._parallel else Sequential()",
        "Sequential()",
        test=f"{UNIT}/test_sink.py::test_calls_run_side_by_side_unless_told_otherwise",
    ),
    mutant(
        "lend a sink all the time because it is alone in the first of several waves",
        "tablestream._engine.waves:Waves._run_wave",
        "last and not others",
        "not others",
        test=f"{UNIT}/test_worker.py::test_what_comes_in_a_later_wave_is_done_while_the_only_sink_of_the_first_hangs",
    ),
    mutant(
        "take the answer to a batch write that tells nothing for one that all is written",
        "tablestream.dynamodb.client:_told",
        "",
        "return answer.get(part, {})",
        test="tests/integration/shop/test_hostile_answers.py::test_a_journal_whose_writing_nobody_confirms_is_written_again",
    ),
)

STOCK: tuple[Mutant, ...] = (
    Mutant(
        "forget the version of the order",
        (
            Edit("shop.stock.decisions:Decider.SET_CONFIRMED", "", '"SET #status = :status, updatedAt = :now"'),
            Edit(
                "shop.stock.decisions:Decider.__init__",
                '{":pending": {"S": OrderStatus.PENDING.value}, ":zero": {"N": "0"}, ":one": {"N": "1"}, '
                '":now": self._now}',
                '{":pending": {"S": OrderStatus.PENDING.value}, ":now": self._now}',
            ),
        ),
        "none",
    ),
    Mutant(
        "release what the image says",
        (
            Edit(
                "shop.stock.decisions:Release",
                'key: ClassVar[str] = "release"',
                'lines: tuple[OrderLine, ...] = ()\nkey: ClassVar[str] = "release"',
            ),
            Edit(
                "shop.handlers:status_changed",
                "Release(OrderKey.of(change))",
                "Release(OrderKey.of(change), order.lines)",
            ),
            Edit("shop.stock.sink:_decision", "entry.lines", "release.value.lines or entry.lines"),
        ),
        "none",
    ),
    mutant(
        "no condition on the ledger", "shop.stock.decisions:Decider.UNDECIDED", "", '"attribute_not_exists(undecided)"'
    ),
    mutant(
        "no condition on the release",
        "shop.stock.decisions:Decider.STILL_RESERVED",
        "",
        '"#state = :reserved OR attribute_exists(pk)"',
        test=f"{SCHEDULES}::test_two_releases_at_once_give_back_once",
    ),
    mutant(
        "confirm an order that is not pending any more",
        "shop.stock.decisions:Decider.STILL_PENDING",
        "",
        '"attribute_exists(pk) OR #status = :pending"',
    ),
    mutant(
        "take stock that is not there",
        "tablestream.dynamodb.transactions:enough",
        "",
        'return f"(attribute_exists(#a{number}) OR #a{number} >= :least{number})"',
        regime="none",
    ),
    mutant(
        "retry with another token",
        "tablestream.dynamodb.transactions:_carry_out",
        "attempt(partial(_send, client, request, targets))",
        'attempt(partial(_send, client, {**request, "ClientRequestToken": new_token()}, targets))',
        test="tests/simulation/test_simulation.py::test_a_repeated_transaction_carries_its_first_token",
    ),
    mutant(
        "take a stock item that nobody can read for an empty one",
        "shop.stock.ledger:units_of",
        "whole(value)",
        "whole(value) or 0",
        test=f"{BATCHES}::test_a_stock_item_that_nobody_can_read_holds_up_who_wants_it_and_rejects_and_parks_nobody",
    ),
)
