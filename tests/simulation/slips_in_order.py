"""Slips in what comes when, in answers and in the journal."""

from __future__ import annotations

from tests.simulation.mutant import SCHEDULES, UNIT, Mutant, mutant
from tests.simulation.planting import Edit

ORDER_AND_ANSWERS: tuple[Mutant, ...] = (
    mutant(
        "go on with an item after a failure",
        "tablestream._engine.waves:Waves.run",
        "len(lane) > position and lane[position - 1].state is not RecordState.FAILED",
        "len(lane) > position",
        test=f"{SCHEDULES}::test_an_item_does_not_go_on_behind_its_failure",
    ),
    Mutant(
        "carry out several effects of one record side by side",
        (
            Edit(
                "tablestream._engine.waves:Waves._queue",
                "waiting[task.sinks[task.done]].append(task)",
                "waiting[task.sinks[task.done]].extend([task] * task.sinks[task.done:].count(task.sinks[task.done]))",
            ),
            Edit(
                "tablestream._engine.waves:Waves._run_sink",
                "[Effect(task.values[task.done], task, task.done) for task in turn]",
                "[Effect(task.values[place], task, place) for at, task in enumerate(turn) "
                "for place in [task.done + turn[:at].count(task)]]",
            ),
        ),
        test=f"{UNIT}/test_order.py"
        "::test_several_effects_of_one_record_for_one_sink_are_carried_out_one_after_the_other",
    ),
    mutant(
        "mark as done before publishing",
        "tablestream._engine.waves:Waves._run_sink",
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
    mutant(
        "compare sequence numbers as text",
        "tablestream._engine.invocation:_report",
        "min(failed, key=int, default=None)",
        "min(failed, default=None)",
        test=f"{SCHEDULES}::test_sequence_numbers_that_grow_longer_are_in_order",
    ),
    mutant(
        "checkpoint the highest failure",
        "tablestream._engine.invocation:_report",
        "min(failed, key=int, default=None)",
        "max(failed, key=int, default=None)",
    ),
    mutant(
        "skip the deadline",
        "tablestream.run:Deadline.of",
        "left() / 1000 - margin_seconds",
        "max(left() / 1000 - margin_seconds, 1e9)",
        test=f"{SCHEDULES}::test_a_slow_day_does_not_run_into_the_timeout",
    ),
    mutant(
        "leave no margin before the timeout",
        "tablestream.run:margin_of",
        "return margin_seconds",
        "return 0.0",
        test=f"{UNIT}/test_worker.py::test_the_margin_is_kept_to_the_second",
    ),
    mutant(
        "do nothing, and say nothing, where the timeout leaves no time",
        "tablestream._engine.invocation:Invocations._margin_of",
        "left < margin + _LEAST_SECONDS",
        "left < 0",
        test=f"{UNIT}/test_worker.py::test_a_timeout_that_leaves_no_time_is_a_mistake_in_the_configuration",
    ),
    mutant(
        "answer a tumbling window without its state",
        "tablestream._engine.invocation:answer_of",
        '"window" in event',
        "False",
        test=f"{UNIT}/test_worker.py::test_the_state_of_a_tumbling_window_is_handed_on",
    ),
)

JOURNAL: tuple[Mutant, ...] = (
    mutant(
        "journal after the answer, when the process is frozen",
        "tablestream._engine.invocation:Invocations._remember",
        "self._journal.record(done, self._run.within(context, margin * _JOURNAL_SHARE))",
        "None",
        test=f"{SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
    mutant(
        "journal only the record of the checkpoint",
        "tablestream._engine.invocation:_may_come_again",
        "task.sequence >= checkpoint",
        "task.sequence == checkpoint",
        test=f"{SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
    mutant(
        "drop unprocessed items",
        "tablestream.dynamodb.client:write_batch",
        "left = [left[place] for place in answer]",
        "left = []",
        test=f"{SCHEDULES}::test_what_the_journal_leaves_unprocessed_is_written_again",
    ),
    mutant(
        "take an unreadable journal for an empty one",
        "tablestream.dynamodb.journal:DynamoDBJournal._read_part",
        'unread = {key["pk"]["S"] for key in left}',
        "unread = set()",
        test=f"{SCHEDULES}::test_what_an_unreadable_journal_may_know_is_not_published_again",
    ),
    mutant(
        "leave the consumer out of the journal's key",
        "tablestream._engine.waves:Task.__init__",
        "f\"{consumer.name}/{event_id}.{record['dynamodb']['SequenceNumber']}\"",
        "f\"{event_id}.{record['dynamodb']['SequenceNumber']}\"",
        test=f"{UNIT}/test_worker.py::test_two_functions_on_one_stream_with_one_journal_do_not_silence_each_other",
    ),
    mutant(
        "take the event id alone for the key of a record",
        "tablestream._engine.waves:Task.__init__",
        "f\"{consumer.name}/{event_id}.{record['dynamodb']['SequenceNumber']}\"",
        'f"{consumer.name}/{event_id}"',
        test=f"{UNIT}/test_worker.py::test_records_to_which_an_emulator_gave_one_event_id_do_not_silence_each_other",
    ),
    mutant(
        "name an effect by its place",
        "tablestream._engine.waves:Task.name_of",
        "key = key_of(self.values[place])",
        "key = str(place)",
        test=f"{UNIT}/test_worker.py::test_a_new_deployment_that_announces_more_repeats_nothing_and_loses_nothing",
    ),
    mutant(
        "let a journal that hangs use up all the time",
        "tablestream._engine.invocation:Invocations._recall",
        "run.less(_LEFT_BY_THE_JOURNAL)",
        "run",
        test=f"{SCHEDULES}::test_while_the_topic_or_the_journal_hangs_stock_is_reserved",
    ),
    mutant(
        "forget what was done of a record that an operator sent",
        "tablestream._engine.invocation:_may_come_again",
        "above or task.state is RecordState.POISONED or is_sent_again(task.record)",
        "above or task.state is RecordState.POISONED",
        test=f"{UNIT}/test_sent_again.py"
        "::test_a_redriven_record_is_not_announced_twice_though_no_checkpoint_remembers_it",
    ),
)
