"""Regular expressions of values: the same answers as Python's, in time linear in the text."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.graphfile.regex import Pattern, PatternError

_ATOM = st.sampled_from(["a", "b", "-", r"\d", r"\.", "[ab]", "[^a]", "[a-c]", ".", r"\w"])
_REPEATS = ["*", "+", "?", "{2}", "{1,2}", "{1,}"]
_PATTERN = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(_REPEATS)).map(lambda two: f"(?:{two[0]}){two[1]}"),
        inner.map(lambda one: f"^{one}$"),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_PATTERN, st.text("abc-.1", max_size=6))
def test_it_answers_as_pythons_own_engine_does(pattern: str, text: str) -> None:
    assert Pattern(pattern).search(text) == bool(re.search(pattern, text))


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"(a)\1", "a**", "a*?", "(", ")", "[", "[]", "{2}", "a{3,2}", "\\", "(?P<x>a)", "(" * 99]
)
def test_what_it_does_not_read_is_refused(pattern: str) -> None:  # fmt: skip
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_hostile_expressions_take_no_time() -> None:
    begun = time.process_time()
    assert not Pattern("^(a+)+$").search("a" * 4096 + "b")
    assert not Pattern("(a|aa)*(a|aa)*c").search("a" * 4096)
    with pytest.raises(PatternError, match="too large"):
        Pattern("((a{1000}){1000}){1000}")
    for nothing in ("(){9999}", "((){9999}){9999}", "(((){9999}){9999}){9999}|a"):
        with contextlib.suppress(PatternError):
            Pattern(nothing)
    assert time.process_time() - begun < 2


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text(r"ab()[]{}|*+?^$\.-1,", max_size=20), st.text(max_size=10))
def test_no_expression_crashes_it(pattern: str, text: str) -> None:
    with contextlib.suppress(PatternError):
        Pattern(pattern).search(text)
