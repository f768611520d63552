"""Orders parsed from images: what is taken, what is poison, and what the poison says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shop.orders import MAX_PRODUCTS, Order, OrderKey, OrderLine, OrderStatus, known_status, status_of
from tablestream.change import Change
from tablestream.errors import InvalidRecord
from tablestream.image import Image
from tablestream.testing import Raw, image, inserted
from tests.support.orders import line, order_item

LONE_SURROGATE = "tea\ud800"


def parse(**changes: Any) -> Order:
    return Order.from_image(Image(image(order_item(**changes))))


def test_a_good_order() -> None:
    assert parse() == Order(
        order_id="o-1",
        status=OrderStatus.PENDING,
        lines=(OrderLine("tea", 2), OrderLine("cup", 1)),
        total=Decimal("21.00"),
        version=1,
        reason=None,
    )


@pytest.mark.parametrize("written", ["10", "10.0", "1E+1", "1e1", "010", "100e-1"])
def test_whole_numbers_are_whole_however_they_are_written(written: str) -> None:
    order = parse(version=Raw({"N": written}), items=[line(quantity=Raw({"N": written}))])
    assert (order.version, order.lines) == (10, (OrderLine("tea", 10),))
    assert type(order.version) is type(order.lines[0].quantity) is int


def test_total_version_and_reason_are_optional() -> None:
    order = parse(total=None, version=None)
    assert (order.total, order.version, order.reason) == (None, None, None)


def test_the_same_product_on_several_lines_is_summed_where_it_stood_first() -> None:
    order = parse(items=[line("tea", 2), line("cup", 1), line("tea", 3)])
    assert order.lines == (OrderLine("tea", 5), OrderLine("cup", 1))


def test_a_quantity_may_be_written_with_a_fraction_of_zero() -> None:
    assert parse(items=[line(quantity=Decimal("2.0"))]).lines == (OrderLine("tea", 2),)


def test_ids_may_be_any_unicode() -> None:
    assert parse(items=[line("茶")]).lines == (OrderLine("茶", 1),)


def test_as_many_products_as_a_transaction_holds() -> None:
    assert len(parse(items=[line(f"p{number}") for number in range(MAX_PRODUCTS)]).lines) == MAX_PRODUCTS


def test_many_lines_of_few_products() -> None:
    assert parse(items=[line()] * 1000).lines == (OrderLine("tea", 1000),)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"items": None}, "items: wanted a list of maps, got NoneType None"),
        ({"items": "tea"}, "items: wanted a list of maps, got str 'tea'"),
        ({"items": {"productId": "tea"}}, "items: wanted a list of maps, got dict|Attributes"),
        ({"items": []}, "items: wanted a list of at least one line, got an empty one"),
        ({"items": [line(), "tea"]}, r"items\[1\]: wanted a map, got str 'tea'"),
        ({"items": [{"quantity": 1}]}, r"items\[0\].productId: wanted text, got NoneType None"),
        ({"items": [line(product="")]}, r"items\[0\].productId: wanted text that is not empty, got str ''"),
        ({"items": [line(product=5)]}, r"items\[0\].productId: wanted text, got int 5"),
        ({"items": [line(product=LONE_SURROGATE)]}, r"items\[0\].productId: wanted valid Unicode, got str"),
        ({"items": [line(product="x" * 2041)]}, r"items\[0\].productId: wanted at most 2040 bytes, got 2041"),
        ({"items": [line(product="é" * 1021)]}, r"items\[0\].productId: wanted at most 2040 bytes, got 2042"),
        ({"items": [{"productId": "tea"}]}, r"items\[0\].quantity: wanted a whole number, got NoneType None"),
        ({"items": [line(quantity=0)]}, r"items\[0\].quantity: wanted a whole number .*, got int 0"),
        ({"items": [line(quantity=-1)]}, r"items\[0\].quantity: wanted a whole number .*, got int -1"),
        ({"items": [line(quantity=Decimal("1.5"))]}, r"items\[0\].quantity: wanted a whole number, got Decimal"),
        ({"items": [line(quantity="2")]}, r"items\[0\].quantity: wanted a whole number, got str '2'"),
        ({"items": [line(quantity=True)]}, r"items\[0\].quantity: wanted a whole number, got bool True"),
        ({"items": [line(quantity=1_000_001)]}, r"items\[0\].quantity: wanted a whole number .*, got int 1000001"),
        ({"items": [line(quantity=Raw({"N": "NaN"}))]}, r"items\[0\].quantity: wanted a number, got str 'NaN'"),
        ({"items": [line(f"p{number}") for number in range(99)]}, "items: wanted at most 98 distinct products, got 99"),
        ({"status": None}, "status: wanted one of pending, .*cancelled, got NoneType None"),
        ({"status": "lost"}, "status: wanted one of pending, .*cancelled, got str 'lost'"),
        ({"status": 3}, "status: wanted one of pending, .*cancelled, got int 3"),
        ({"orderId": None}, "orderId: wanted text that is not empty, got NoneType None"),
        ({"orderId": ""}, "orderId: wanted text that is not empty, got str ''"),
        ({"orderId": LONE_SURROGATE}, "orderId: wanted valid Unicode, got str"),
        ({"total": "21.00"}, "total: wanted a number or none, got str '21.00'"),
        ({"total": True}, "total: wanted a number or none, got bool True"),
        ({"version": "1"}, "version: wanted a whole number of at most 9007199254740991 or none, got str '1'"),
        ({"version": Decimal("1.5")}, "version: wanted a whole number of at most .* or none, got Decimal"),
        ({"version": 2**53}, "version: wanted a whole number of at most .* or none, got int 9007199254740992"),
        ({"statusReason": 5}, "statusReason: wanted text or none, got int 5"),
    ],
)
def test_poison_says_what_came_and_what_was_wanted(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRecord, match=told):
        parse(**changes)


def test_what_poison_quotes_is_bounded() -> None:
    with pytest.raises(InvalidRecord) as raised:
        parse(items="x" * 400_000)
    assert len(str(raised.value)) < 200


def test_a_line_is_poison_also_for_what_nobody_needs_of_it() -> None:
    with pytest.raises(InvalidRecord, match=r"items\[0\].photo: wanted base64 text"):
        parse(items=[{**line(), "photo": Raw({"B": "*"})}])


def test_the_status_can_be_read_where_all_else_is_broken() -> None:
    assert status_of({"status": {"S": "shipped"}, "items": {"N": "NaN"}}) is OrderStatus.SHIPPED


@pytest.mark.parametrize("tagged", [{"S": "shipped", "N": "1"}, {"S": ["shipped"]}, {}, None, "shipped", ["S"]])
def test_a_status_is_one_tag_with_a_known_word(tagged: object) -> None:
    for read in (status_of, known_status):
        with pytest.raises(InvalidRecord):
            read({"status": tagged})


@pytest.mark.parametrize("image", [{}, {"status": {"S": "lost"}}, {"status": {"N": "5"}}])
def test_a_word_that_nobody_knows_is_a_status_that_is_not_known(image: dict[str, Any]) -> None:
    assert known_status(image) is None
    with pytest.raises(InvalidRecord, match="status: wanted one of"):
        status_of(image)


def test_an_order_is_known_by_its_table_key() -> None:
    change = Change.from_record(inserted(order_item(orderId="another")))
    assert OrderKey.of(change) == OrderKey("USER#c-1", "ORDER#o-1")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"pk": LONE_SURROGATE}, "pk: wanted valid Unicode"),
        ({"pk": 5}, "pk: wanted text that is not empty, got int 5"),
        ({"sk": Raw({"S": "ORDER#" + "x" * 1019})}, "sk: wanted at most 1024 bytes, got 1025"),
        ({"pk": "x" * 2042}, "pk: wanted at most 2041 bytes, got 2042"),
        ({"sk": Raw({"NULL": True})}, "sk: wanted text that is not empty, got NoneType None"),
    ],
)
def test_a_key_that_the_ledger_could_not_hold_is_poison(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRecord, match=told):
        OrderKey.of(Change.from_record(inserted(order_item(**keys))))


TEXT = st.sampled_from(
    ["tea", "cup", "", "é", "x" * 2041, LONE_SURROGATE, "3", "0", "-1", "1.5", "2.0", ".5", "1000001", "٣", "1" * 39]
)
TAGGED = st.dictionaries(st.sampled_from(["S", "N", "B", "X"]), TEXT | st.none() | st.integers(), max_size=2)
PRODUCT = st.builds(lambda text: {"S": text}, TEXT) | TAGGED
NUMBER = st.builds(lambda text: {"N": text}, TEXT) | TAGGED
LINE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"productId": PRODUCT, "quantity": NUMBER}, optional={"price": NUMBER, "photo": TAGGED}
)
ENTRY = st.builds(lambda line: {"M": line}, LINE) | st.builds(lambda line: {"M": line, "S": "x"}, LINE) | st.none()
ITEMS = st.builds(lambda lines: {"L": lines}, st.lists(ENTRY, max_size=3)) | TAGGED


@given(ITEMS)
@settings(max_examples=300)
def test_lines_are_read_alike_by_the_quick_look_and_the_close_one(items: dict[str, Any]) -> None:
    def read() -> object:
        try:
            return parse(items=Raw(items)).lines
        except InvalidRecord:
            return "poison"

    with patch("tablestream.image._plain_row", return_value=None):
        expected = read()
    assert read() == expected
