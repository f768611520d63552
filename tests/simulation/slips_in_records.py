"""Slips in reading records: what is bad, who gets it, what is told of it; and in the operator's tools."""

from __future__ import annotations

from tests.simulation.mutant import BATCHES, UNIT, Mutant, mutant

POISON: tuple[Mutant, ...] = (
    mutant(
        "swallow poison",
        "tablestream.sinks.s3:S3DeadLetters.store",
        "",
        "return [DONE for _ in letters]",
        regime="poison",
    ),
    mutant(
        "take a dead letter for stored that is not",
        "tablestream._engine.waves:Waves._store_poison",
        "isinstance(answer, Done)",
        "isinstance(answer, Done | Transient)",
    ),
    mutant(
        "take an answer that is not S3's for a stored dead letter",
        "tablestream.sinks.s3:S3DeadLetters._store_one",
        'not answer.get("ETag")',
        "False",
    ),
    mutant(
        "store two records with one event id under one name",
        "tablestream.sinks.s3:S3DeadLetters.key",
        "letter.sequence_number",
        '""',
        test=f"{BATCHES}::test_two_bad_records_with_one_event_id_are_two_dead_letters",
    ),
    mutant(
        "take an effect that no sink takes for a bad record",
        "tablestream._engine.intake:Consumer._unknown",
        "ConfigurationError",
        "InvalidRecord",
        test=f"{BATCHES}::test_an_effect_that_no_sink_takes_is_a_mistake_in_the_configuration",
    ),
    mutant(
        "take what a validator refuses for a bug",
        "tablestream._engine.intake:_is_validation",
        "",
        "return False",
        test=f"{UNIT}/engine/test_intake.py::test_what_pydantic_refuses_is_a_bad_record",
    ),
    mutant(
        "take a missing attribute for a bug",
        "tablestream.image:Image.__getitem__",
        "MissingAttribute(name, self.raw)",
        "KeyError(name)",
        test=f"{UNIT}/engine/test_intake.py::test_the_second_handlers_refusal_takes_back_the_firsts_effects",
    ),
    mutant(
        "forget across batches that a handler is broken",
        "tablestream._engine.invocation:SystemicCheck._judge",
        "{**self._recent.pop(name, {}), **outcomes}",
        "dict(outcomes)",
        test=f"{UNIT}/engine/test_systemic.py::test_a_bug_parks_at_most_ten_records_whatever_the_size_of_the_batches",
    ),
    mutant(
        "park all records of a broken handler",
        "tablestream._engine.invocation:SystemicCheck.judge",
        "",
        "return None",
        test=f"{UNIT}/engine/test_systemic.py::test_a_bug_parks_at_most_ten_records_whatever_the_size_of_the_batches",
    ),
    mutant(
        "let what a handler raises leave the worker when it is no Exception",
        "tablestream._engine.intake:Consumer._task",
        "BaseException",
        "Exception",
        test=f"{UNIT}/engine/test_intake.py::test_whatever_a_handler_raises_concerns_its_record_only",
    ),
    mutant(
        "know no whole number that is written with a fraction or an exponent",
        "tablestream.image:whole",
        "type(value) is Decimal and value == value.to_integral_value()",
        "False",
        test=f"{BATCHES}::test_each_is_processed_as_ever",
    ),
)

ROUTES: tuple[Mutant, ...] = (
    mutant(
        "route no item that became another entity",
        "tablestream.router:Router._became",
        "",
        "return _NOTHING",
        regime="none",
    ),
    mutant(
        "take what replication writes for a change",
        "tablestream.router:_is_replica",
        "",
        "return False",
        test=f"{UNIT}/test_router.py::test_what_replication_writes_into_an_item_is_no_change",
    ),
    mutant(
        "take changes from before a new mapping was wanted",
        "tablestream._engine.intake:Consumer._is_skipped",
        "created is not None and created < self.ignore_before",
        "False",
        test=f"{UNIT}/engine/test_intake.py::test_changes_before_a_time_are_skipped_when_that_is_set",
    ),
    mutant(
        "leave an order that is opened again pending, and say nothing",
        "shop.handlers:status_changed",
        "order.status is OrderStatus.PENDING",
        "False",
        regime="poison",
    ),
    mutant(
        "do not say that a message is late",
        "shop.handlers:_message",
        "change.sent_again",
        "False",
        regime="chaos",
    ),
    mutant(
        "compare tables by their names alone",
        "tablestream._engine.intake:_check_table",
        'wanted not in (arn, arn.rpartition(":table/")[2])',
        'wanted.rpartition("/")[2] != arn.rpartition(":table/")[2]',
        test=f"{BATCHES}::test_w_a_table_of_the_same_name_elsewhere_is_refused",
    ),
    mutant(
        "register nothing for a decorator without parentheses",
        "tablestream.router:Router._register",
        "entity is not None and not isinstance(entity, str)",
        "False",
        test=f"{UNIT}/test_router.py::test_a_decorator_without_parentheses_is_refused",
    ),
    mutant(
        "announce a change in each region of a global table",
        "tablestream._engine.intake:Consumer._is_skipped",
        "self.local_changes_only and is_replicated(record)",
        "False",
        test=f"{UNIT}/engine/test_intake.py::test_changes_of_other_regions_are_skipped_when_that_is_set",
    ),
    mutant(
        "send the next batch of a redrive without a look at the lease",
        "tablestream.ops.invoking:Ready.__call__",
        "self.lease.confirm()",
        "None",
        test="tests/unit/tablestream/ops/test_bucket.py"
        "::test_a_lease_that_is_lost_between_two_sends_ends_the_run_before_the_second",
    ),
)
