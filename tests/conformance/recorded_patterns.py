"""What EventBridge makes of patterns, as recorded: `test_event_pattern` of file E, with values of our own.

The names are the recording's: one that ends in _NEG does not match, one that ends in _EXC is refused.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.recordings import Pattern, Recording


def _but(inner: object) -> list[object]:
    return [{"anything-but": inner}]


_IGNORED, _IGNORED_LIST = {"equals-ignore-case": "off"}, {"equals-ignore-case": ["off", "away"]}
_PREFIX, _PREFIXES = {"prefix": "tmp"}, {"prefix": ["tmp", "old"]}
_SUFFIX, _SUFFIXES = {"suffix": ".txt"}, {"suffix": [".txt", ".jpg"]}
_DOWN = {"c": {"d": {"e": [{"exists": False}]}}}

_ROWS: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
    # the scenario, the rule it shows, a pattern, an event
    ("string_empty", 27, {"a": [""]}, {"a": ""}),
    ("boolean", 27, {"a": [False]}, {"a": False}),
    ("boolean_NEG", 27, {"a": [False]}, {"a": True}),
    ("null_value", 27, {"a": [None]}, {"a": None}),
    ("null_value_NEG", 27, {"a": [None]}, {"a": "null"}),
    ("number_comparison_float", 27, {"a": [300]}, {"a": 300.0}),
    ("key_case_sensitive_NEG", 27, {"A": ["x"]}, {"a": "x"}),
    ("nested_json_NEG", 27, {"a": {"b": ["x"]}}, {"a": '{"b": "x"}'}),
    ("operator_multiple_list", 27, {"a": [{"exists": True}, {"prefix": "n"}, {"suffix": "n"}]}, {"a": "x"}),
    ("content_prefix", 27, {"a": [{"prefix": "2025-"}]}, {"a": "2025-11"}),
    ("content_prefix_NEG", 27, {"a": [{"prefix": "2025-12"}]}, {"a": "2025-11"}),
    ("content_prefix_empty", 27, {"a": [{"prefix": ""}]}, {"a": "any"}),
    ("content_prefix_ignorecase", 27, {"a": [{"prefix": {"equals-ignore-case": "OrDer"}}]}, {"a": "oRdEr-1"}),
    ("content_suffix", 27, {"a": [{"suffix": ".png"}]}, {"a": "a.png"}),
    ("content_suffix_NEG", 27, {"a": [{"suffix": ".PNG"}]}, {"a": "a.png"}),
    ("content_suffix_empty", 27, {"a": [{"suffix": ""}]}, {"a": "any"}),
    ("content_suffix_ignorecase", 27, {"a": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"a": "a.PNG"}),
    ("content_suffix_ignorecase_NEG", 27, {"a": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"a": "a.jpg"}),
    ("content_ignorecase", 27, {"a": [{"equals-ignore-case": "state"}]}, {"a": ["STATE"]}),
    ("content_ignorecase_NEG", 27, {"a": [{"equals-ignore-case": "other"}]}, {"a": ["STATE"]}),
    ("content_ignorecase_empty", 27, {"a": [{"equals-ignore-case": ""}]}, {"a": ""}),
    ("content_ignorecase_empty_NEG", 27, {"a": [{"equals-ignore-case": ""}]}, {"a": "x"}),
    ("content_anything_but_string", 27, {"a": _but("off")}, {"a": "on"}),
    ("content_anything_but_string_NEG", 27, {"a": _but("off")}, {"a": "off"}),
    ("content_anything_but_string_null", 27, {"a": _but("off")}, {"a": None}),
    ("content_anything_but_string_missing_NEG", 27, {"a": _but("off")}, {}),
    ("content_anything_but_string_list", 27, {"a": _but(["off", "away"])}, {"a": "on"}),
    ("content_anything_but_string_list_NEG", 27, {"a": _but(["off", "away"])}, {"a": "away"}),
    ("content_anything_but_string_list_null", 27, {"a": _but(["off", "away"])}, {"a": None}),
    ("content_anything_but_string_list_missing_NEG", 27, {"a": _but(["off", "away"])}, {}),
    ("content_anything_but_number", 27, {"a": _but(12)}, {"a": 78}),
    ("content_anything_but_number_NEG", 27, {"a": _but(12)}, {"a": 12}),
    ("content_anything_but_number_zero", 27, {"a": _but(0)}, {"a": 78}),
    ("content_anything_but_number_list", 27, {"a": _but([1, 2])}, {"a": 3}),
    ("content_anything_but_number_list_NEG", 27, {"a": _but([1, 2])}, {"a": 1}),
    ("content_anything_but_ignorecase", 27, {"a": _but(_IGNORED)}, {"a": "on"}),
    ("content_anything_but_ignorecase_NEG", 27, {"a": _but(_IGNORED)}, {"a": "OFF"}),
    ("content_anything_but_ignorecase_null", 27, {"a": _but(_IGNORED)}, {"a": None}),
    ("content_anything_but_ignorecase_missing_NEG", 27, {"a": _but(_IGNORED)}, {}),
    ("content_anything_but_ignorecase_list", 27, {"a": _but(_IGNORED_LIST)}, {"a": "on"}),
    ("content_anything_but_ignorecase_list_NEG", 27, {"a": _but(_IGNORED_LIST)}, {"a": "Away"}),
    ("content_anything_but_ignorecase_list_null", 27, {"a": _but(_IGNORED_LIST)}, {"a": None}),
    ("content_anything_but_ignorecase_list_missing_NEG", 27, {"a": _but(_IGNORED_LIST)}, {}),
    ("content_anything_prefix", 27, {"a": _but(_PREFIX)}, {"a": "x-tmp"}),
    ("content_anything_prefix_NEG", 27, {"a": _but(_PREFIX)}, {"a": "tmp-x"}),
    ("content_anything_prefix_null", 27, {"a": _but(_PREFIX)}, {"a": None}),
    ("content_anything_prefix_int_value", 27, {"a": _but(_PREFIX)}, {"a": 12}),
    ("content_anything_prefix_missing_NEG", 27, {"a": _but(_PREFIX)}, {}),
    ("content_anything_prefix_list", 27, {"a": _but(_PREFIXES)}, {"a": "x-tmp"}),
    ("content_anything_prefix_list_NEG", 27, {"a": _but(_PREFIXES)}, {"a": "old-x"}),
    ("content_anything_prefix_list_null", 27, {"a": _but(_PREFIXES)}, {"a": None}),
    ("content_anything_prefix_list_int", 27, {"a": _but(_PREFIXES)}, {"a": 12}),
    ("content_anything_prefix_list_missing_NEG", 27, {"a": _but(_PREFIXES)}, {}),
    ("content_anything_suffix", 27, {"a": _but(_SUFFIX)}, {"a": "a.txt.bak"}),
    ("content_anything_suffix_NEG", 27, {"a": _but(_SUFFIX)}, {"a": "a.txt"}),
    ("content_anything_suffix_null", 27, {"a": _but(_SUFFIX)}, {"a": None}),
    ("content_anything_suffix_missing_NEG", 27, {"a": _but(_SUFFIX)}, {}),
    ("content_anything_suffix_list", 27, {"a": _but(_SUFFIXES)}, {"a": "a.txt.bak"}),
    ("content_anything_suffix_list_NEG", 27, {"a": _but(_SUFFIXES)}, {"a": "a.jpg"}),
    ("content_anything_suffix_list_null", 27, {"a": _but(_SUFFIXES)}, {"a": None}),
    ("content_anything_suffix_list_missing_NEG", 27, {"a": _but(_SUFFIXES)}, {}),
    ("complex_or", 27, {"$or": [{"a": [1]}, {"b": [{"numeric": ["<", 9]}]}]}, {"a": 0, "b": 0}),
    ("complex_or_NEG", 27, {"$or": [{"a": [1]}, {"b": [{"numeric": ["<", 9]}]}]}, {"a": 0, "b": 9}),
    ("arrays", 28, {"a": ["x", "y"]}, {"a": ["n", "x"]}),
    ("arrays_NEG", 28, {"a": ["x", "y"]}, {"a": ["n"]}),
    ("arrays_empty_null_NEG", 28, {"a": [None]}, {"a": []}),
    ("list_within_dict", 28, {"a": {"b": [{"exists": True}]}}, {"a": [{"c": "x"}, {"b": "x"}]}),
    ("dynamodb", 28, {"a": {"N": ["12"]}}, {"a": {"S": "x", "N": "12"}}),
    ("content_numeric_and", 29, {"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 3}),
    ("content_numeric_and_NEG", 29, {"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 42}),
    ("numeric-int-float", 29, {"a": [{"numeric": [">", 100]}]}, {"a": 101.0}),
    ("numeric-null_NEG", 29, {"a": [{"numeric": [">", 100]}]}, {"a": None}),
    ("numeric-string_NEG", 29, {"a": [{"numeric": [">", 100]}]}, {"a": "300"}),
    ("or-numeric-anything-but", 29, {"a": [{"numeric": [">", 100]}, *_but("101")]}, {"a": "42"}),
    ("or-numeric-anything-but_NEG", 29, {"a": [{"numeric": [">", 100]}, *_but("101")]}, {"a": "101"}),
    ("content_exists", 30, {"a": [{"exists": True}]}, {"a": "x"}),
    ("content_exists_NEG", 30, {"b": [{"exists": True}]}, {"a": {"c": 1}}),
    ("content_exists_false", 30, _DOWN, {"c": {"x": 1}}),
    ("content_exists_false_NEG", 30, _DOWN, {"c": {"d": {"e": "x"}}}),
    ("exists_dynamodb", 30, {"a": {"S": [{"exists": True}]}}, {"a": {"S": "x"}}),
    ("exists_dynamodb_NEG", 30, {"a": [{"exists": True}]}, {"a": {"S": "x"}}),
    ("exists_list_empty_NEG", 30, {"a": [{"exists": True}]}, {"a": []}),
    ("or-anything-but", 30, {"a": {"S": [*_but(["n"]), {"exists": False}]}}, {"a": {"S": "x", "N": "1"}}),
    ("or-exists", 30, {"a": {"S": [*_but(["n"]), {"exists": False}]}}, {"a": {"N": "1"}}),
    ("or-exists-parent", 30, {"a": {"S": [*_but(["n"]), {"exists": False}]}}, {"b": {"N": "1"}}),
    ("int_nolist_EXC", 32, {"a": 42}, {"a": "x"}),
    ("string_nolist_EXC", 32, {"a": "x"}, {"a": "x"}),
    ("arrays_empty_EXC", 32, {"a": []}, {"a": "x"}),
    ("operator_case_sensitive_EXC", 32, {"a": [{"EXISTS": True}]}, {"a": "x"}),
    ("content_prefix_int_EXC", 32, {"a": [{"prefix": 1}]}, {"a": "x"}),
    ("content_prefix_list_EXC", 32, {"a": [{"prefix": ["x"]}]}, {"a": "x"}),
    ("content_suffix_int_EXC", 32, {"a": [{"suffix": 1}]}, {"a": "x"}),
    ("content_suffix_list_EXC", 32, {"a": [{"suffix": ["x"]}]}, {"a": "x"}),
    ("content_ignorecase_EXC", 32, {"a": [{"equals-ignore-case": ["x"]}]}, {"a": "x"}),
    ("content_ignorecase_list_EXC", 32, {"a": [{"equals-ignore-case": {"prefix": "x"}}]}, {"a": "x"}),
    ("content_anything_but_string_null_type_EXC", 32, {"a": _but(None)}, {"a": "x"}),
    ("content_anything_but_string_list_null_type_EXC", 32, {"a": _but(["x", None])}, {"a": "x"}),
    ("content_anything_but_ignorecase_EXC", 32, {"a": _but({"equals-ignore-case": 1})}, {"a": "x"}),
    ("content_anything_but_ignorecase_list_EXC", 32, {"a": _but({"equals-ignore-case": [1, 2]})}, {"a": "x"}),
    ("content_anything_prefix_empty_EXC", 32, {"a": _but({"prefix": ""})}, {"a": "x"}),
    ("content_anything_prefix_int_EXC", 32, {"a": _but({"prefix": 1})}, {"a": "x"}),
    ("content_anything_prefix_ignorecase_EXC", 32, {"a": _but({"prefix": {"equals-ignore-case": "x"}})}, {"a": "x"}),
    ("content_anything_prefix_list_type_EXC", 32, {"a": _but({"prefix": [1, "x"]})}, {"a": "x"}),
    ("content_anything_suffix_empty_EXC", 32, {"a": _but({"suffix": ""})}, {"a": "x"}),
    ("content_anything_suffix_int_EXC", 32, {"a": _but({"suffix": 1})}, {"a": "x"}),
    ("content_anything_suffix_ignorecase_EXC", 32, {"a": _but({"suffix": {"equals-ignore-case": "x"}})}, {"a": "x"}),
    ("content_anything_suffix_list_type_EXC", 32, {"a": _but({"suffix": [1, "x"]})}, {"a": "x"}),
    ("content_anything_suffix_list_null_type_EXC", 32, {"a": _but({"suffix": [None, "x"]})}, {"a": "x"}),
    ("content_numeric_EXC", 32, {"a": [{"numeric": [">", 0, ">", 0]}]}, {"a": 3}),
    ("content_numeric_number_EXC", 32, {"a": [{"numeric": 10}]}, {"a": 3}),
    ("content_numeric_syntax_EXC", 32, {"a": [{"numeric": [">", 0, "<"]}]}, {"a": 3}),
    ("content_numeric_operatorcasing_EXC", 32, {"a": [{"NUMERIC": ["=", 5]}]}, {"a": 5}),
]


def _pattern(scenario: str, rule: int, pattern: dict[str, Any], event: dict[str, Any]) -> Pattern:
    matches = None if scenario.endswith("_EXC") else not scenario.endswith("_NEG")
    return Pattern(Recording("E", f"test_event_pattern[{scenario}]", (rule,)), pattern, event, matches)


PATTERNS = [_pattern(*row) for row in _ROWS]
