"""JSON in and out: what DynamoDB can keep comes back with exactly its digits."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.api.json_text import read, write
from shop.api.problems import Problem


def values() -> Any:
    digits = st.integers(-(10**38) + 1, 10**38 - 1)
    numbers = st.builds(lambda whole, exponent: Decimal(whole).scaleb(exponent), digits, st.integers(-80, -1))
    leaves = st.one_of(st.none(), st.booleans(), st.text(max_size=5), digits, numbers)
    return st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner))
    )


@given(value=values())
def test_what_is_written_is_read_again(value: Any) -> None:
    read_again = read(write({"x": value}))["x"]
    assert read_again == value
    assert write({"x": read_again}) == write(read(write({"x": read_again})))


@given(number=st.decimals(allow_nan=False, allow_infinity=False), written=st.sampled_from(["{}", "{:f}", "{:E}"]))
def test_a_number_is_kept_exactly_or_refused(number: Decimal, written: str) -> None:
    with localcontext() as exact:
        exact.prec = 200
        digits = "".join(map(str, number.as_tuple().digits)).strip("0")
        if digits and (len(digits) > 38 or number.adjusted() >= 38 or number.adjusted() < -130):
            with pytest.raises(Problem):
                read(f'{{"x": {written.format(number)}}}')
            return
        kept = read(f'{{"x": {written.format(number)}}}')["x"]
        assert kept == number
        assert type(kept) is int if number == number.to_integral_value() else type(kept) is Decimal
        assert Decimal(write(kept)) == number


@pytest.mark.parametrize(
    ("written", "kept"),
    [("5", 5), ("5.0", 5), ("5e0", 5), ("50E-1", 5), ("-0", 0), ("-0.0", 0), ("1e3", 1000), ("0.10", Decimal("0.1"))],
)
def test_whole_numbers_are_whole_however_they_are_written(written: str, kept: Any) -> None:
    value = read(f'{{"x": {written}}}')["x"]
    assert (value, type(value)) == (kept, type(kept))


def test_numbers_are_written_with_the_digits_that_are_stored() -> None:
    stored = [
        Decimal("1.1"),
        Decimal("0.30000000000000004"),
        Decimal("12345678901234567890.5"),
        Decimal("1E-7"),
        10**30,
    ]
    assert write(stored) == f"[1.1,0.30000000000000004,12345678901234567890.5,1E-7,1{'0' * 30}]"
    assert write({"a": {Decimal("1.5")}, "b": frozenset({"y", "x"}), "c": [True, None, 'ä\u2028"']}) == (
        '{"a":[1.5],"b":["x","y"],"c":[true,null,"ä\u2028\\""]}'
    )
    slow = {"n": Decimal("1E-7"), "a": {"x", "w"}, "b": [True, None, "ä\n"], "c": {}, "d": [], "e": (1, 2)}
    assert write(slow) == '{"n":1E-7,"a":["w","x"],"b":[true,null,"ä\\n"],"c":{},"d":[],"e":[1,2]}'
    assert json.loads(write(slow))["b"][2] == "ä\n"


def test_bytes_that_another_program_wrote_are_shown_in_base64() -> None:
    item = {"proof": b"\x00\xff", "scans": {b"\x02", b"\x01"}, "exact": Decimal("0.1234567890123456789")}
    assert write(item) == '{"proof":"AP8=","scans":["AQ==","Ag=="],"exact":0.1234567890123456789}'


def test_a_value_of_no_item_is_not_written() -> None:
    with pytest.raises(TypeError, match="wanted a value of an item, got object"):
        write({"x": object()})
