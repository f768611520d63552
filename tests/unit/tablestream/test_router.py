"""Routing: who gets a record is decided on raw type tags, before anything is converted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tablestream import Change, ConfigurationError, InvalidRecord, Router
from tablestream.testing import Raw, Record, expired, image, inserted, modified, removed

LEAD = {"pk": "LEAD#1", "sk": "A", "entityType": "Lead", "stage": "new", "note": "x"}


def on_lead(_change: Change) -> None: ...


def on_won(_change: Change) -> None: ...


def on_gone(_change: Change) -> None: ...


@pytest.fixture
def routes() -> Router:
    router = Router(key_prefixes={"Lead": ("pk", "LEAD#")})
    router.on_insert("Lead")(on_lead)
    router.on_modify("Lead", changed=("stage", "owner"))(on_won)
    router.on_remove("Lead")(on_gone)
    return router


def names(routes: Router, record: Record) -> list[str]:
    return [handler.__name__ for _, handlers in routes.routes(record) for handler in handlers]


def without(record: Record, *fields: str) -> Record:
    return {**record, "dynamodb": {name: value for name, value in record["dynamodb"].items() if name not in fields}}


def test_a_record_goes_where_its_kind_and_entity_say(routes: Router) -> None:
    assert names(routes, inserted(LEAD)) == ["on_lead"]
    assert names(routes, modified(LEAD, {**LEAD, "stage": "won"})) == ["on_won"]
    assert names(routes, removed(LEAD)) == names(routes, expired(LEAD)) == ["on_gone"]
    assert names(routes, inserted({**LEAD, "entityType": "Order"})) == []


def test_handlers_of_one_kind_run_in_the_order_of_registration(routes: Router) -> None:
    routes.on_insert("Lead")(on_gone)
    assert names(routes, inserted(LEAD)) == ["on_lead", "on_gone"]


def test_a_decorated_handler_stays_what_it_was(routes: Router) -> None:
    assert routes.on_insert("Order")(on_lead) is on_lead


def test_a_modification_counts_only_when_a_named_attribute_differs(routes: Router) -> None:
    assert names(routes, modified(LEAD, {**LEAD, "note": "y"})) == []
    assert names(routes, modified(LEAD, {**LEAD, "owner": "me"})) == ["on_won"]
    assert names(routes, modified({**LEAD, "owner": "me"}, LEAD)) == ["on_won"]


def test_the_order_of_a_set_is_no_difference(routes: Router) -> None:
    old, new = ({**LEAD, "stage": Raw({"SS": tags})} for tags in (["a", "b"], ["b", "a"]))
    assert names(routes, modified(old, new)) == []


def test_without_named_attributes_every_modification_counts(routes: Router) -> None:
    routes.on_modify("Lead")(on_lead)
    assert names(routes, modified(LEAD, {**LEAD, "note": "y"})) == ["on_lead"]


def test_handlers_with_different_conditions_are_asked_each(routes: Router) -> None:
    routes.on_modify("Lead")(on_lead)
    routes.on_modify("Lead", changed=("note",))(on_gone)
    assert names(routes, modified(LEAD, {**LEAD, "stage": "won"})) == ["on_won", "on_lead"]
    assert names(routes, modified(LEAD, {**LEAD, "stage": "won", "note": "y"})) == ["on_won", "on_lead", "on_gone"]


def test_a_single_text_is_refused_where_names_are_wanted(routes: Router) -> None:
    with pytest.raises(ConfigurationError, match="changed wants a sequence of attribute names, got str 'stage'"):
        routes.on_modify("Lead", changed="stage")


def test_a_removal_is_routed_by_what_the_item_was(routes: Router) -> None:
    routes.on_remove("Order")(on_lead)
    assert names(routes, removed({**LEAD, "entityType": "Order"})) == ["on_lead"]


def test_the_entity_attribute_can_have_another_name() -> None:
    router = Router(entity_attribute="type")
    router.on_insert("Lead")(on_lead)
    assert names(router, inserted({"pk": "1", "sk": "A", "type": "Lead"})) == ["on_lead"]
    assert names(router, inserted(LEAD)) == []


@pytest.mark.parametrize("entity", [None, 7, Raw("Lead"), Raw({"S": 7}), Raw({"S": "Lead", "N": "1"}), Raw({})])
def test_an_item_whose_key_says_lead_must_say_so_itself(routes: Router, entity: object) -> None:
    with pytest.raises(InvalidRecord, match="the key is that of a Lead, but the attribute entityType does not say so"):
        routes.routes(inserted({**LEAD, "entityType": entity}))
    with pytest.raises(InvalidRecord):
        routes.routes(removed({name: value for name, value in LEAD.items() if name != "entityType"}))


@pytest.mark.parametrize("pk", ["USER#LEAD#1", "lead#1", 7, Raw("LEAD#1"), Raw({"S": 1})])
def test_without_entity_and_without_a_known_key_it_is_somebody_elses(routes: Router, pk: object) -> None:
    assert list(routes.routes(inserted({"pk": pk, "sk": "A"}))) == []


@pytest.mark.parametrize("keys", [None, [], {"sk": {"S": "LEAD#1"}}])
def test_keys_that_say_nothing_say_nothing(routes: Router, keys: Any) -> None:
    record = inserted({"pk": "LEAD#1", "sk": "A"})
    record["dynamodb"]["Keys"] = keys
    assert list(routes.routes(record)) == []


@pytest.mark.parametrize("entity", [None, Raw({"S": "Lead", "N": "1"}), Raw({"S": ["Lead"]})])
def test_without_prefixes_nothing_is_poison_for_its_key(entity: object) -> None:
    router = Router()
    router.on_insert("Lead")(on_lead)
    assert list(router.routes(inserted({**LEAD, "entityType": entity}))) == []


@pytest.mark.parametrize(
    ("record", "gone"),
    [
        (inserted(LEAD), "NewImage"),
        (modified(LEAD, LEAD), "NewImage"),
        (modified(LEAD, LEAD), "OldImage"),
        (removed(LEAD), "OldImage"),
    ],
)
def test_a_record_without_its_images_could_be_anybodys_and_is_poison(routes: Router, record: Record, gone: str) -> None:
    with pytest.raises(InvalidRecord, match="NEW_AND_OLD_IMAGES"):
        routes.routes(without(record, gone))


@pytest.mark.parametrize("name", ["UPSERT", None, 5, ["INSERT"], {}])
def test_an_unknown_event_name_is_poison_for_a_known_entity_only(routes: Router, name: object) -> None:
    with pytest.raises(InvalidRecord, match="wanted eventName INSERT, MODIFY or REMOVE, got"):
        routes.routes({**inserted(LEAD), "eventName": name})
    with pytest.raises(InvalidRecord):
        routes.routes({**removed(LEAD), "eventName": name})
    with pytest.raises(InvalidRecord):
        routes.routes({**without(inserted(LEAD), "NewImage"), "eventName": name})
    assert list(routes.routes({**inserted({"pk": "USER#1", "sk": "A"}), "eventName": name})) == []


def test_nothing_is_converted_to_route(routes: Router) -> None:
    assert names(routes, inserted({**LEAD, "amount": Raw({"N": "NaN"}), "broken": Raw("text")})) == ["on_lead"]


# --- tables of one entity --------------------------------------------------------------------------------------------

PLAIN = {"id": "1", "email": "a"}


def test_a_handler_without_an_entity_gets_every_item() -> None:
    router = Router()
    router.on_insert()(on_lead)
    router.on_modify(changed=("email",))(on_won)
    router.on_remove()(on_gone)
    keys = ("id",)
    assert names(router, inserted(PLAIN, keys=keys)) == ["on_lead"]
    assert names(router, modified(PLAIN, {**PLAIN, "email": "b"}, keys=keys)) == ["on_won"]
    assert names(router, modified(PLAIN, {**PLAIN, "name": "b"}, keys=keys)) == []
    assert names(router, removed(PLAIN, keys=keys)) == ["on_gone"]


def test_handlers_of_all_items_and_of_an_entity_run_in_the_order_of_registration(routes: Router) -> None:
    routes.on_insert()(on_won)
    routes.on_insert("Lead")(on_gone)
    assert names(routes, inserted(LEAD)) == ["on_lead", "on_won", "on_gone"]
    assert names(routes, inserted({"pk": "1", "sk": "A", "entityType": "Order"})) == ["on_won"]


@pytest.mark.parametrize("register", ["on_insert", "on_modify", "on_remove"])
def test_a_decorator_without_parentheses_is_refused(register: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{register} wanted the entity's type as text, or nothing, got func"):
        getattr(Router(), register)(on_lead)


def test_an_async_handler_is_refused_and_a_generator_is_not() -> None:
    async def later(_change: Change) -> None: ...

    def steps(_change: Change) -> Iterator[str]:
        yield "a"

    with pytest.raises(ConfigurationError, match=r"on_insert wanted a plain function, got an async one: .*later"):
        Router().on_insert("Lead")(later)
    Router().on_insert("Lead")(steps)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_remove wanted a function of a change, got str"):
        Router().on_remove("Lead")("text")  # type: ignore[arg-type]  # as somebody may write it


def test_a_router_can_be_put_into_another(routes: Router) -> None:
    other = Router(key_prefixes={"Draft": ("pk", "DRAFT#")})
    other.on_insert("Lead")(on_won)
    assert not routes.is_empty
    routes.include(other)
    assert names(routes, inserted(LEAD)) == ["on_lead", "on_won"]
    with pytest.raises(InvalidRecord, match="the key is that of a Draft"):
        routes.routes(inserted({"pk": "DRAFT#1", "sk": "A"}))
    with pytest.raises(ConfigurationError, match="wanted a router with the entity attribute entityType, got one with"):
        routes.include(Router("type"))


# --- items that become another entity --------------------------------------------------------------------------------


def told(routes: Router, record: Record) -> list[tuple[str, list[str]]]:
    return [(kind.value, [handler.__name__ for handler in handlers]) for kind, handlers in routes.routes(record)]


DRAFT = {**LEAD, "entityType": "Draft"}


def test_an_item_that_becomes_another_entity_is_the_removal_of_one_and_the_insertion_of_the_other(
    routes: Router,
) -> None:
    assert told(routes, modified(DRAFT, LEAD)) == [("INSERT", ["on_lead"])]
    assert told(routes, modified(LEAD, DRAFT)) == [("REMOVE", ["on_gone"])]
    routes.on_remove("Draft")(on_won)
    assert told(routes, modified(DRAFT, LEAD)) == [("REMOVE", ["on_won"]), ("INSERT", ["on_lead"])]


def test_for_handlers_of_all_items_it_is_a_modification(routes: Router) -> None:
    routes.on_modify()(on_won)
    routes.on_insert()(on_gone)
    assert told(routes, modified(DRAFT, LEAD)) == [("INSERT", ["on_lead"]), ("MODIFY", ["on_won"])]


@pytest.mark.parametrize("old", [{}, {"pk": "LEAD#1"}, {"entityType": 7}])
def test_an_old_image_that_names_no_entity_makes_it_an_insertion(routes: Router, old: dict[str, object]) -> None:
    record = modified(LEAD, LEAD)
    record["dynamodb"]["OldImage"] = image(old)
    assert told(routes, record) == [("INSERT", ["on_lead"])]


def test_a_new_image_that_names_no_entity_under_its_key_is_poison(routes: Router) -> None:
    with pytest.raises(InvalidRecord, match="the key is that of a Lead"):
        routes.routes(modified(LEAD, {"pk": "LEAD#1", "sk": "A"}))


# --- global tables ---------------------------------------------------------------------------------------------------


def test_what_replication_writes_into_an_item_is_no_change() -> None:
    router = Router()
    router.on_modify("Lead")(on_won)
    replicated = {**LEAD, "aws:rep:updatetime": 1, "aws:rep:updateregion": "eu-west-1", "aws:rep:deleting": False}
    assert names(router, modified(LEAD, replicated)) == []
    assert names(router, modified(replicated, {**replicated, "aws:rep:updatetime": 2})) == []
    assert names(router, modified(LEAD, {**replicated, "note": "y"})) == ["on_won"]
    assert names(router, modified(LEAD, LEAD)) == ["on_won"], "DynamoDB itself emits no record for such a write"
