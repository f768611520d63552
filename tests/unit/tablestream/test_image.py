"""An item image: every attribute converted when it is read, and refused when DynamoDB could not have written it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tablestream import Change, Image, InvalidRecord
from tablestream.change import same_value
from tablestream.image import MAX_DEPTH, whole
from tablestream.testing import Raw, image, modified

NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    # Without whole ones: DynamoDB keeps no zeros after the point, so 1.0 comes back as the int 1.
    st.decimals(min_value=-(10**20), max_value=10**20, places=8).filter(lambda number: number % 1),
)
NAMES = st.text(min_size=1)
SCALARS = st.one_of(st.text(), NUMBERS, st.binary(), st.booleans(), st.none())
SETS = st.one_of(
    st.frozensets(st.text(), min_size=1), st.frozensets(NUMBERS, min_size=1), st.frozensets(st.binary(), min_size=1)
)
VALUES = st.recursive(
    SCALARS | SETS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read_back(item: dict[str, Any]) -> None:
    read = Image(image(item))
    assert dict(read) == item
    assert all(isinstance(value, type(item[name])) for name, value in read.items())


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ({"S": ""}, ""),
        ({"N": "0"}, 0),
        ({"N": "-12"}, -12),
        ({"N": "1.50"}, Decimal("1.50")),
        ({"N": "1E+5"}, Decimal(100000)),
        ({"N": "-1e-5"}, Decimal("-0.00001")),
        ({"N": ".5"}, Decimal("0.5")),
        ({"N": "1E-130"}, Decimal("1E-130")),
        ({"N": "9.99E+125"}, Decimal("9.99E+125")),
        ({"N": "9" * 38}, 10**38 - 1),
        ({"N": "1" + "0" * 125}, 10**125),
        ({"N": "-1" + "0" * 125}, -(10**125)),
        ({"N": "0.1" + "0" * 60}, Decimal("0.1")),
        ({"B": "AP8="}, b"\x00\xff"),
        ({"B": ""}, b""),
        ({"BOOL": False}, False),
        ({"NULL": True}, None),
        ({"L": []}, []),
        ({"M": {}}, {}),
        ({"L": [{"B": "AQ=="}, {"M": {"b": {"B": "Ag=="}}}]}, [b"\x01", {"b": b"\x02"}]),
        ({"SS": ["a", "b"]}, frozenset({"a", "b"})),
        ({"NS": ["1", "2.5"]}, frozenset({1, Decimal("2.5")})),
        ({"BS": ["AQ=="]}, frozenset({b"\x01"})),
    ],
)
def test_a_type_tag_gives_a_value(raw: object, value: object) -> None:
    read = Image({"a": raw})["a"]
    assert read == value
    assert isinstance(read, type(value))


HOSTILE: list[Any] = [
    None,
    "text",
    [],
    {},
    {"S": "a", "N": "1"},
    {"X": "a"},
    {"s": "a"},
    {"S": 1},
    {"S": None},
    {"N": 1},
    {"N": ""},
    {"N": "NaN"},
    {"N": "Infinity"},
    {"N": "-Infinity"},
    {"N": "twelve"},
    {"N": "1.2.3"},
    {"N": "."},
    {"N": "1_000"},
    {"N": " 1"},
    {"N": "1\n"},
    {"N": "1E"},
    {"N": "0x10"},
    {"N": "١٢"},
    {"N": "1" * 39},
    {"N": "-" + "1" * 39},
    {"N": "0." + "1" * 39},
    {"N": "1" + "0" * 126},
    {"N": "1E+126"},
    {"N": "1E-131"},
    {"N": "1E99999"},
    {"N": "9" * 100_000},
    {"B": "*"},
    {"B": "AP8"},
    {"B": "ü"},
    {"B": 1},
    {"BOOL": "true"},
    {"BOOL": 1},
    {"NULL": False},
    {"NULL": "true"},
    {"L": {}},
    {"L": ["a"]},
    {"M": []},
    {"M": {"a": "b"}},
    {"M": {"a": {"N": "NaN"}}},
    {"SS": []},
    {"SS": "a"},
    {"SS": [1]},
    {"NS": ["a"]},
    {"BS": ["*"]},
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: repr(raw)[:40])
def test_what_dynamodb_could_not_write_is_refused_by_name(raw: object) -> None:
    with pytest.raises(InvalidRecord, match=r"^attribute a: wanted .* got ") as caught:
        Image({"a": raw})["a"]
    assert len(str(caught.value)) < 400


def nested(levels: int, tag: str = "L") -> Any:
    raw: Any = {"S": "bottom"}
    for _ in range(levels):
        raw = {"L": [raw]} if tag == "L" else {"M": {"a": raw}}
    return raw


@pytest.mark.parametrize("tag", ["L", "M"])
def test_nesting_is_read_down_to_the_limit_and_no_deeper(tag: str) -> None:
    Image({"a": nested(MAX_DEPTH, tag)})["a"]
    with pytest.raises(InvalidRecord, match="nested deeper than 32"):
        Image({"a": nested(MAX_DEPTH + 1, tag)})["a"]


@pytest.mark.parametrize("within", [lambda raw: raw, lambda raw: {"S": raw}, lambda raw: [raw]], ids=["L", "S", "list"])
def test_no_nesting_exhausts_the_stack(within: Callable[[object], object]) -> None:
    with pytest.raises(InvalidRecord):
        Image({"a": within(nested(100_000))})["a"]


def test_an_attribute_is_converted_when_it_is_read_and_only_once() -> None:
    read = Image({"bad": {"N": "NaN"}, "good": {"L": [{"S": "x"}]}})
    assert read["good"] is read["good"]
    with pytest.raises(InvalidRecord):
        read["bad"]


def test_names_are_answered_without_converting() -> None:
    read = Image({"bad": {"N": "NaN"}})
    assert (list(read), len(read), "bad" in read, "other" in read) == (["bad"], 1, True, False)
    assert read.get("other", 5) == 5
    with pytest.raises(KeyError):
        read["other"]


def test_its_repr_names_attributes_and_no_values() -> None:
    assert repr(Image(image({"name": "Jane Doe", "email": "jane@example.com"}))) == "Image(email, name)"


LINES = [{"id": "tea", "units": 2, "price": Decimal("4.50")}, {"id": "cup", "units": Decimal("1E+1"), "tags": {"a"}}]


def test_rows_of_a_list_are_tuples_of_the_named_attributes() -> None:
    read = Image(image({"lines": LINES}))
    assert read.rows("lines", id=str, units=int) == [("tea", 2), ("cup", 10)]
    assert [type(units) for _, units in read.rows("lines", id=str, units=int)] == [int, int]
    assert read.rows("lines", units=Decimal, id=str) == [(Decimal(2), "tea"), (Decimal(10), "cup")]
    assert Image(image({"lines": []})).rows("lines", id=str) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, True),
        (bytes, b"x"),
        (list, ["x"]),
        (frozenset, frozenset({"x"})),
        (dict, {"x": 1}),
        (Decimal, Decimal("1.5")),
    ],
)
def test_rows_hold_any_kind_of_value(kind: type, value: Any) -> None:
    assert Image(image({"rows": [{"value": value}]})).rows("rows", value=kind) == [(value,)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (None, "rows: wanted a list of maps, got NoneType None"),
        ("text", "rows: wanted a list of maps, got str 'text'"),
        ([{"id": "a", "units": 1}, "text"], r"rows\[1\]: wanted a map, got str 'text'"),
        ([{"units": 1}], r"rows\[0\].id: wanted text, got NoneType None"),
        ([{"id": 5, "units": 1}], r"rows\[0\].id: wanted text, got int 5"),
        ([{"id": "a", "units": Decimal("1.5")}], r"rows\[0\].units: wanted a whole number, got Decimal"),
        ([{"id": "a", "units": True}], r"rows\[0\].units: wanted a whole number, got bool True"),
        ([{"id": "a", "units": Raw({"N": "NaN"})}], r"rows\[0\].units: wanted a number, got str 'NaN'"),
        ([{"id": "a", "units": Raw({"N": "1", "S": "1"})}], r"rows\[0\].units: wanted one type tag"),
        ([{"id": "a", "units": 1, "x": Raw({"B": "*"})}], r"rows\[0\].x: wanted base64 text"),
        ([{"id": "a", "units": 1, "x": Raw({"N": "one"})}], r"rows\[0\].x: wanted a number"),
        ([Raw({"M": {}, "S": "x"})], r"rows\[0\]: wanted one type tag"),
    ],
)
def test_rows_say_which_value_is_not_as_wanted(rows: Any, told: str) -> None:
    read = Image({} if rows is None else image({"rows": rows}))
    with pytest.raises(InvalidRecord, match=f"^(attribute )?{told}"):
        read.rows("rows", id=str, units=int)


@pytest.mark.parametrize(
    ("value", "number"),
    [(10, 10), (Decimal("10.0"), 10), (Decimal("1E+1"), 10), (Decimal("1.5"), None), (True, None), ("10", None)],
)
def test_a_whole_number_is_whole_however_it_is_written(value: object, number: int | None) -> None:
    assert whole(value) == number
    assert type(whole(value)) is type(number)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"S": "a"}, {"S": "a"}, True),
        ({"S": "a"}, {"S": "b"}, False),
        ({"S": "1"}, {"N": "1"}, False),
        (None, None, True),
        (None, {"S": "a"}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a", "b"]}, {"SS": ["a", "c"]}, False),
        ({"SS": ["a"]}, {"NS": ["a"]}, False),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"SS": "ab"}, {"SS": "ba"}, False),
        ({"SS": ["a"], "S": "a"}, {"S": "a", "SS": ["b"]}, False),
        ({}, {"SS": []}, False),
        ({"SS": [1, "1"]}, {"SS": ["1", 1]}, True),
    ],
)
def test_raw_values_are_compared_with_sets_in_any_order(one: object, other: object, same: bool) -> None:
    assert same_value(one, other) is same


def test_a_planted_value_goes_in_as_it_is() -> None:
    assert image({"a": Raw({"N": "NaN"}), "b": [Raw("broken")]}) == {"a": {"N": "NaN"}, "b": {"L": ["broken"]}}


def test_an_attribute_that_is_missing_makes_a_bad_record_also_within_a_map() -> None:
    image = Image({"address": {"M": {"city": {"S": "Rome"}}}})
    for where, there in ((image, "item has address"), (image["address"], "map has city")):
        with pytest.raises(InvalidRecord, match=f"^email: wanted a value, got none; the {there}$") as caught:
            _ = where["email"]
        assert isinstance(caught.value, KeyError), "so that a handler may catch it as of any mapping"
    assert image.get("email") is None
    assert image["address"].get("email") is None
    assert image["address"]["city"] == "Rome"


# --- typed items -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Line:
    product: str
    quantity: int
    price: Decimal = Decimal(0)
    note: str | None = None
    tags: list[str] = dataclasses.field(default_factory=list)
    anything: Any = None


def image_of(**attributes: Any) -> Image:
    return Image(image(attributes))


def test_an_item_is_read_as_a_dataclass() -> None:
    read = image_of(product="tea", quantity=2, price=3, tags=["a"], note=None, anything=True, other=1).read_as(Line)
    assert read == Line("tea", 2, 3, None, ["a"], anything=True)  # type: ignore[arg-type]  # a whole Decimal is an int
    assert image_of(product="tea", quantity=2).read_as(Line) == Line("tea", 2)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"product": "tea"}, "^quantity: wanted a value, got none; the item has product$"),
        ({"product": "tea", "quantity": "2"}, "^quantity: wanted int, got str '2'$"),
        ({"product": "tea", "quantity": True}, "^quantity: wanted int, got bool True$"),
        ({"product": "tea", "quantity": 1, "note": 7}, "^note: wanted str or NoneType, got int 7$"),
        ({"product": "tea", "quantity": 1, "tags": "a"}, "^tags: wanted list, got str 'a'$"),
        ({"product": "tea", "quantity": Raw({"N": "x"})}, "^attribute quantity: wanted a number"),
    ],
)
def test_what_does_not_fit_is_a_bad_record(attributes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRecord, match=told):
        image_of(**attributes).read_as(Line)


def test_an_item_is_read_as_a_pydantic_model_or_by_a_codec_of_the_class() -> None:
    class Model(pydantic.BaseModel):
        quantity: int

    class Codec:
        def __init__(self, quantity: int) -> None:
            self.quantity = quantity

        @classmethod
        def from_item(cls, item: Mapping[str, Any]) -> Codec:
            return cls(item["quantity"])

    assert image_of(quantity=2).read_as(Model).quantity == image_of(quantity=2).read_as(Codec).quantity == 2
    with pytest.raises(pydantic.ValidationError):
        image_of(quantity="x").read_as(Model)
    with pytest.raises(TypeError, match="wanted a dataclass, a pydantic model or a class with from_item, got int"):
        image_of(quantity=2).read_as(int)


def test_a_change_reads_both_of_its_images() -> None:
    old, new = ({"pk": "1", "sk": "A", "product": "tea", "quantity": quantity} for quantity in (1, 2))
    change = Change.from_record(modified(old, new))
    assert (change.old_as(Line).quantity, change.new_as(Line).quantity) == (1, 2)
