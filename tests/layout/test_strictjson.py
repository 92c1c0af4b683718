import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.layout.strictjson import MAX_DEPTH, JsonError, canonical, parse, parse_object

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(JSON)
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse(canonical(value)) == value


@given(JSON)
def test_canonical_bytes_do_not_depend_on_the_order_of_keys(value: object) -> None:
    turned = json.loads(json.dumps(value), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical(turned) == canonical(value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b'{"x":{"b":1,"b":1}}', "twice"),
        (b"{} {}", "Extra data"),
        (b"{}\0", "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[NaN]", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[" + b"1" * 1_000_000 + b"]", "64 bits"),
        (b"[" * 100_000, "levels"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "levels"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "levels"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'["\xff"]', "utf-8"),
        ('{"a":1}'.encode("utf-16"), "utf-8"),
        (b"", "Expecting"),
        (b"{'a':1}", "Expecting"),
        (b"[1,]", "Expecting"),
        (b'["\x01"]', "control"),
    ],
)
def test_whatever_could_be_read_in_two_ways_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(JsonError, match=why):
        parse(data)


def test_the_limits_themselves_are_read() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse(b"[9223372036854775807,-9223372036854775808]")


def test_a_document_is_an_object() -> None:
    with pytest.raises(JsonError):
        parse_object(b"[]")


def test_what_has_no_json_form_is_not_written() -> None:
    with pytest.raises(ValueError, match="no JSON form"):
        canonical({"a": object()})
    with pytest.raises(ValueError):
        canonical(float("nan"))
