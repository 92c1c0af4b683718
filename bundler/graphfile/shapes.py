"""What a piece of data may look like. The grammar is built of these; they carry no behaviour but their own test.

One description serves the checker (`walk`), the JSON Schema (`schema`) and `bundle explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Hint = Callable[[object], str | None]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches `pattern` as a whole, or is one of `choices`.

    `numbers` and `flags`: numbers, true and false are taken as the text they are written as. `placeholders`:
    `${a.b}` may stand in it (elsewhere it is refused, never passed on unread). `read` makes of a good text what
    the checker works with.
    """

    expected: str
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    max_length: int = 4096
    min_length: int = 1
    numbers: bool = False
    flags: bool = False
    placeholders: bool = False
    read: Callable[[str], Any] = str
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Number:
    expected: str
    integer: bool = True
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # exclusive minimum
    hint: Hint | None = None


def _flag_hint(found: object) -> str | None:
    words = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
    meant = words.get(str(found).lower()) if isinstance(found, str) else None
    return f"write {meant}, without quotes" if meant else None


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false; only the one of them given in `only`."""

    expected: str = "true or false"
    only: bool | None = None
    hint: Hint | None = _flag_hint


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a number, true or false, kept with its type."""

    expected: str


@dataclass(frozen=True, slots=True)
class ListOf:
    expected: str
    items: Shape
    min_items: int = 0
    unique: bool = False
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map with names of the user's own. `empty_hint` is for a name without a value."""

    expected: str
    names: Text
    values: Shape
    min_items: int = 0
    hint: Hint | None = None
    empty_hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A map of any form; what it changes is held against a shape once it is changed."""

    expected: str
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """`default` is the sentence or value shown to people; the checker's own default is in `build`. `example` is what
    may stand at the key, as YAML on one line or below it; only where it says more than the rest."""

    name: str
    shape: Shape
    doc: str
    required: bool = False
    default: str | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A map with fixed keys. `one_of`: exactly one of each group is given. `elsewhere`: words that people bring
    from other tools, and what to write here instead. `later`: words of the language that this version does not
    read yet, and what they are. `completed_by`: with this key given, what is missing comes from elsewhere. `private`:
    a text in its place may be a secret, and is never shown."""

    title: str
    doc: str
    keys: tuple[Key, ...]
    one_of: tuple[tuple[str, ...], ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    later: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    completed_by: str | None = None
    hint: Hint | None = None
    private: bool = False

    @property
    def expected(self) -> str:
        return f"a map with the keys of {self.title}"

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)


@dataclass(frozen=True, slots=True)
class Either:
    """One of several shapes, told apart by the kind of data alone (see `kinds`)."""

    expected: str
    shapes: tuple[Shape, ...]
    hint: Hint | None = None


Shape = Text | Number | Flag | Scalar | ListOf | MapOf | Patch | Record | Either


def kind(value: object) -> str:
    """The kind of a piece of data: text, integer, number, flag, list, map or empty."""
    match value:
        case None:
            return "empty"
        case bool():
            return "flag"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"  # as JSON Schema has it
        case str():
            return "text"
        case Mapping():
            return "map"
    return "list"


def kinds(shape: Shape) -> frozenset[str]:
    """The kinds of data that a shape can take."""
    match shape:
        case Text():
            more = {"integer", "number"} if shape.numbers else set()
            return frozenset({"text"} | more | ({"flag"} if shape.flags else set()))
        case Number():
            return frozenset({"integer"} if shape.integer else {"integer", "number"})
        case Flag():
            return frozenset({"flag"})
        case Scalar():
            return frozenset({"text", "integer", "number", "flag"})
        case ListOf():
            return frozenset({"list"})
        case MapOf() | Patch() | Record():
            return frozenset({"map"})
        case Either():
            return frozenset().union(*(kinds(each) for each in shape.shapes))
