"""The slips that are planted, each with what has to notice it: the schedules of a regime, or a test.

A slip names the function, the method or the constant that it changes, and in it the expression or the statements. It is
planted by `tests.simulation.planting`, and a test says when it can no longer be.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.planting import Edit

VARIABLE = "PLANTED_MUTANT"
"""The environment variable that names the slip that is to be planted."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A slip, and what has to notice it: the schedules of a regime, or a test."""

    slip: str
    edits: tuple[Edit, ...]
    regime: str = "harsh"
    test: str = ""


def _mutant(slip: str, where: str, old: str, new: str, *, regime: str = "harsh", test: str = "") -> Mutant:
    return Mutant(slip, (Edit(where, old, new),), regime, test)


_SCHEDULES = "tests/simulation/test_schedules.py"
_UNIT = "tests/unit/tablestream"
_BATCHES = "tests/integration/shop/test_bad_input_in_batches.py"

_ORDER_AND_ANSWERS: tuple[Mutant, ...] = (
    _mutant(
        "go on with an item after a failure",
        "tablestream._waves:Waves.run",
        "len(lane) > position and lane[position - 1].state is not RecordState.FAILED",
        "len(lane) > position",
        test=f"{_SCHEDULES}::test_an_item_does_not_go_on_behind_its_failure",
    ),
    Mutant(
        "carry out several effects of one record side by side",
        (
            Edit(
                "tablestream._waves:Waves._next_turn",
                "[task for task in waiting if _is_open(task) and task.done < len(task.sinks) "
                "and task.sinks[task.done] == index]",
                "[task for task in waiting if _is_open(task) for sink in task.sinks[task.done:] if sink == index]",
            ),
            Edit(
                "tablestream._waves:Waves._run_sink",
                "[task.effects[task.done] for task in turn]",
                "[task.effects[task.done + turn[:at].count(task)] for at, task in enumerate(turn)]",
            ),
        ),
        test=f"{_UNIT}/test_order.py"
        "::test_several_effects_of_one_record_for_one_sink_are_carried_out_one_after_the_other",
    ),
    _mutant(
        "mark as done before publishing",
        "tablestream._waves:Waves._run_sink",
        "for task, answer in zip(turn, answers, strict=True):\n"
        "    if isinstance(answer, Done):\n"
        "        task.done += 1\n"
        "    elif isinstance(answer, Transient):\n"
        "        task.fail(answer.error)\n"
        "    else:\n"
        "        task.poison = Poison(answer.reason, answer.error_class, sink.name)",
        "for task, answer in zip(turn, answers, strict=True):\n"
        "    task.done += 1\n"
        "    if isinstance(answer, Transient):\n"
        "        task.fail(answer.error)\n"
        "    elif not isinstance(answer, Done):\n"
        "        task.poison = Poison(answer.reason, answer.error_class, sink.name)",
    ),
    _mutant(
        "compare sequence numbers as text",
        "tablestream._invocation:_report",
        "min(failed, key=int, default=None)",
        "min(failed, default=None)",
        test=f"{_SCHEDULES}::test_sequence_numbers_that_grow_longer_are_in_order",
    ),
    _mutant(
        "checkpoint the highest failure",
        "tablestream._invocation:_report",
        "min(failed, key=int, default=None)",
        "max(failed, key=int, default=None)",
    ),
    _mutant(
        "skip the deadline",
        "tablestream.run:Deadline.of",
        "left() / 1000 - margin_seconds",
        "max(left() / 1000 - margin_seconds, 1e9)",
        test=f"{_SCHEDULES}::test_a_slow_day_does_not_run_into_the_timeout",
    ),
    _mutant(
        "leave no margin before the timeout",
        "tablestream.run:margin_of",
        "return margin_seconds",
        "return 0.0",
        test=f"{_UNIT}/test_worker.py::test_the_margin_is_kept_to_the_second",
    ),
    _mutant(
        "do nothing, and say nothing, where the timeout leaves no time",
        "tablestream._invocation:Invocations._margin_of",
        "left < margin + _LEAST_SECONDS",
        "left < 0",
        test=f"{_UNIT}/test_worker.py::test_a_timeout_that_leaves_no_time_is_a_mistake_in_the_configuration",
    ),
    _mutant(
        "answer a tumbling window without its state",
        "tablestream._invocation:answer_of",
        '"window" in event',
        "False",
        test=f"{_UNIT}/test_worker.py::test_the_state_of_a_tumbling_window_is_handed_on",
    ),
)

_JOURNAL: tuple[Mutant, ...] = (
    _mutant(
        "journal after the answer, when the process is frozen",
        "tablestream._invocation:Invocations._remember",
        "self._journal.record(done, run)",
        "None",
        test=f"{_SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
    _mutant(
        "journal only the record of the checkpoint",
        "tablestream._invocation:_may_come_again",
        "task.sequence >= checkpoint",
        "task.sequence == checkpoint",
        test=f"{_SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
    _mutant(
        "drop unprocessed items",
        "tablestream.dynamodb.journal:DynamoDBJournal._write_part",
        'wanted = {item["pk"]["S"]: wanted[item["pk"]["S"]] for item in left}',
        "wanted = {}",
        test=f"{_SCHEDULES}::test_what_the_journal_leaves_unprocessed_is_written_again",
    ),
    _mutant(
        "take an unreadable journal for an empty one",
        "tablestream.dynamodb.journal:DynamoDBJournal._read_part",
        "unread = {*wanted}",
        "unread = set()",
        test=f"{_SCHEDULES}::test_what_an_unreadable_journal_may_know_is_not_published_again",
    ),
    _mutant(
        "leave the consumer out of the journal's key",
        "tablestream._intake:Task.key",
        "",
        "return record_key_of(self.record, self.event_id)",
        test=f"{_UNIT}/test_worker.py::test_two_functions_on_one_stream_with_one_journal_do_not_silence_each_other",
    ),
    _mutant(
        "take the event id alone for the key of a record",
        "tablestream.change:record_key_of",
        "",
        "return event_id",
        test=f"{_UNIT}/test_worker.py::test_records_to_which_an_emulator_gave_one_event_id_do_not_silence_each_other",
    ),
    _mutant(
        "name an effect by its place",
        "tablestream._intake:Task.name_of",
        "key = key_of(self.effects[place].value)",
        "key = str(place)",
        test=f"{_UNIT}/test_worker.py::test_a_new_deployment_that_announces_more_repeats_nothing_and_loses_nothing",
    ),
)

_SINKS: tuple[Mutant, ...] = (
    _mutant(
        "lend every sink all the time that is left",
        "tablestream._waves:Waves._run_sink",
        "run if alone else run.until(run.deadline.less(_LEFT_FOR_OTHERS))",
        "run",
        test=f"{_SCHEDULES}::test_while_the_inventory_table_hangs_other_orders_are_announced",
    ),
    _mutant(
        "let what a sink raises leave the worker when it is no Exception",
        "tablestream._waves:_checked",
        "BaseException",
        "Exception",
        test=f"{_UNIT}/test_worker.py::test_whatever_a_sink_raises_its_neighbours_effects_are_journalled",
    ),
    _mutant(
        "take only botocore's own errors for those of a call",
        "tablestream.dynamodb.errors:attempt",
        "Exception",
        "(ClientError, BotoCoreError)",
        test=f"{_SCHEDULES}::test_what_one_unreadable_answer_leaves_open_repeats_no_other_notification",
    ),
    _mutant(
        "take any answer with a status of 200 for DynamoDB's", "tablestream.dynamodb.client:_check", "", "return None"
    ),
    _mutant(
        "take a message that the answer does not name for published",
        "tablestream.sinks._entries:read_by_id",
        "answers.get(str(place), untold(service))",
        "answers.get(str(place), DONE)",
    ),
    _mutant(
        "ignore PublishBatch's Failed",
        "tablestream.sinks.sns:Topic._publish",
        'read_by_id("SNS", batch, response.get("Successful", ()), response.get("Failed", ()))',
        'read_by_id("SNS", batch, [*response.get("Successful", ()), *response.get("Failed", ())], ())',
    ),
    _mutant(
        "treat a conflict as poison",
        "tablestream.dynamodb.errors:kind_of_code",
        "_KINDS.get(code, default)",
        '_KINDS.get(code, default) if "Conflict" not in code else ErrorKind.INVALID',
    ),
    _mutant(
        "count an async function as done",
        "tablestream.sink:never_ran",
        "",
        "return False",
        test=f"{_UNIT}/test_sink.py::test_a_coroutine_or_generator_that_comes_back_is_never_done",
    ),
    _mutant(
        "take an async function for a sink",
        "tablestream.sink:is_lazy",
        "",
        "return False",
        test=f"{_UNIT}/test_sink.py::test_a_function_that_would_never_run_is_refused_when_it_is_registered",
    ),
    _mutant(
        "call the functions behind `each` one after the other",
        "tablestream.sink:_FunctionSink.apply",
        "run.parallel if self._parallel else Sequential()",
        "Sequential()",
        test=f"{_UNIT}/test_sink.py::test_calls_run_side_by_side_unless_told_otherwise",
    ),
)

_POISON: tuple[Mutant, ...] = (
    _mutant(
        "swallow poison",
        "tablestream.sinks.s3:S3DeadLetters.store",
        "",
        "return [DONE for _ in letters]",
        regime="poison",
    ),
    _mutant(
        "take a dead letter for stored that is not",
        "tablestream._waves:Waves._store_poison",
        "isinstance(answer, Done)",
        "isinstance(answer, Done | Transient)",
    ),
    _mutant(
        "take an answer that is not S3's for a stored dead letter",
        "tablestream.sinks.s3:S3DeadLetters._store_one",
        'not answer.get("ETag")',
        "False",
    ),
    _mutant(
        "store two records with one event id under one name",
        "tablestream.sinks.s3:S3DeadLetters.key",
        "letter.sequence_number",
        '""',
        test=f"{_BATCHES}::test_two_bad_records_with_one_event_id_are_two_dead_letters",
    ),
    _mutant(
        "take an effect that no sink takes for a bad record",
        "tablestream._intake:Consumer._unknown",
        "ConfigurationError",
        "InvalidRecord",
        test=f"{_BATCHES}::test_an_effect_that_no_sink_takes_is_a_mistake_in_the_configuration",
    ),
    _mutant(
        "take what a validator refuses for a bug",
        "tablestream._intake:_is_validation",
        "",
        "return False",
        test=f"{_UNIT}/test_intake.py::test_what_pydantic_refuses_is_a_bad_record",
    ),
    _mutant(
        "take a missing attribute for a bug",
        "tablestream.image:Image.__getitem__",
        "MissingAttribute(name)",
        "KeyError(name)",
        test=f"{_BATCHES}::test_a_missing_attribute_in_a_handler_makes_bad_records",
    ),
    _mutant(
        "forget across batches that a handler is broken",
        "tablestream._systemic:SystemicCheck._judge",
        "{**self._recent.pop(name, {}), **outcomes}",
        "dict(outcomes)",
        test=f"{_UNIT}/test_systemic.py::test_a_bug_parks_at_most_ten_records_whatever_the_size_of_the_batches",
    ),
    _mutant(
        "park all records of a broken handler",
        "tablestream._systemic:SystemicCheck.judge",
        "",
        "return None",
        test=f"{_UNIT}/test_systemic.py::test_a_bug_parks_at_most_ten_records_whatever_the_size_of_the_batches",
    ),
)

_ROUTES: tuple[Mutant, ...] = (
    _mutant(
        "route no item that became another entity",
        "tablestream.router:Router._became",
        "",
        "return _NOTHING",
        regime="none",
    ),
    _mutant(
        "take what replication writes for a change",
        "tablestream.router:_is_replica",
        "",
        "return False",
        test=f"{_UNIT}/test_router.py::test_what_replication_writes_into_an_item_is_no_change",
    ),
    _mutant(
        "take changes from before a new mapping was wanted",
        "tablestream._intake:Consumer._is_skipped",
        "created is not None and created < self.ignore_before",
        "False",
        test=f"{_UNIT}/test_intake.py::test_changes_before_a_time_are_skipped_when_that_is_set",
    ),
    _mutant(
        "leave an order that is opened again pending, and say nothing",
        "shop.handlers:status_changed",
        "order.status is OrderStatus.PENDING",
        "False",
        regime="poison",
    ),
    _mutant(
        "do not say that a message is late",
        "shop.announcements:_message",
        "change.redriven or change.replayed",
        "False",
        regime="chaos",
    ),
)

_STOCK: tuple[Mutant, ...] = (
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
                "shop.stock:Release",
                'key: ClassVar[str] = "release"',
                'lines: tuple[OrderLine, ...] = ()\nkey: ClassVar[str] = "release"',
            ),
            Edit(
                "shop.handlers:status_changed",
                "Release(OrderKey.of(change))",
                "Release(OrderKey.of(change), order.lines)",
            ),
            Edit("shop.stock.releases:_decision", "entry.lines", "release.value.lines or entry.lines"),
        ),
        "none",
    ),
    _mutant(
        "no condition on the ledger", "shop.stock.decisions:Decider.UNDECIDED", "", '"attribute_not_exists(undecided)"'
    ),
    _mutant(
        "no condition on the release",
        "shop.stock.decisions:Decider.STILL_RESERVED",
        "",
        '"#state = :reserved OR attribute_exists(pk)"',
        test=f"{_SCHEDULES}::test_two_releases_at_once_give_back_once",
    ),
    _mutant(
        "confirm an order that is not pending any more",
        "shop.stock.decisions:Decider.STILL_PENDING",
        "",
        '"attribute_exists(pk) OR #status = :pending"',
    ),
    _mutant(
        "take stock that is not there",
        "tablestream.dynamodb.transactions:enough",
        "",
        'return f"(attribute_exists(#a{number}) OR #a{number} >= :least{number})"',
        regime="none",
    ),
    _mutant(
        "retry with another token",
        "tablestream.dynamodb.transactions:Transactor._carry_out",
        "attempt(partial(self._send, request, targets))",
        'attempt(partial(self._send, {**request, "ClientRequestToken": self._token()}, targets))',
        test="tests/simulation/test_simulation.py::test_a_repeated_transaction_carries_its_first_token",
    ),
)

MUTANTS: tuple[Mutant, ...] = (*_ORDER_AND_ANSWERS, *_JOURNAL, *_SINKS, *_POISON, *_ROUTES, *_STOCK)
