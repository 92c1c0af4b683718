"""`${scope.field}`, and everything that only looks like it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.graphfile.placeholders import Ref, offsets, parse, refs


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("${a.b}", (Ref("a", "b"),)),
        ("x${a.b}y${c.d}", ("x", Ref("a", "b"), "y", Ref("c", "d"))),
        ("${publish.ui.url}", (Ref("publish", "ui.url"),)),
        ("${secrets.admin-password}", (Ref("secrets", "admin-password"),)),
        ("${secrets.x.encoded}", (Ref("secrets", "x", encoded=True),)),
        ("${a.x.encoded}", (Ref("a", "x.encoded"),)),
        ("$${a.b}", ("${a.b}",)),
        ("x$${a.b}${a.b}", ("x${a.b}", Ref("a", "b"))),
        ("$$${a.b}", ("$${a.b}",)),
        ("${HOME} $PATH $$ $(id) ${X:-a.b} ${a.} ${.b} {{a.b}} %s", None),
        ("${ a.b }", None),
        ("${a.b", None),
        ("$${HOME}", None),
    ],
)
def test_only_a_dotted_name_in_braces_is_ours(text: str, parts: tuple[object, ...] | None) -> None:
    assert parse(text) == ((text,) if parts is None else parts)


def test_references_are_found_with_their_places() -> None:
    text = "é $${x.y} ${a.b}"
    assert offsets(text) == ((10, Ref("a", "b")),)
    assert refs(text) == (Ref("a", "b"),)


@given(st.text())
def test_a_text_without_references_comes_out_as_it_went_in(text: str) -> None:
    parts = parse(text)
    assert all(isinstance(part, Ref) or part for part in parts)
    if "${" not in text:
        assert "".join(str(part) for part in parts) == text


@given(st.lists(st.sampled_from(["${a.b}", "${secrets.a.encoded}", "x", "$", "{", "}", "é"]), max_size=12))
def test_literals_never_stand_side_by_side(pieces: list[str]) -> None:
    parts = parse("".join(pieces))
    assert not any(isinstance(a, str) and isinstance(b, str) for a, b in pairwise(parts))
