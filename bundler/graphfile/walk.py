"""Holds data against a shape: reports everything that does not fit, and hands back what does, as it was read.

Reads: `Source`, a shape.
Writes: plain data in which every text of a fixed form is already taken apart (a size is a number of bytes, a mount
a `MountText`), and what did not fit is absent (in lists: None, so that indices stay).
Next: `check`, `site`.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self, assert_never

from bundler.errors import Problem
from bundler.graphfile import placeholders
from bundler.graphfile.shapes import (
    Either,
    Flag,
    Hint,
    ListOf,
    MapOf,
    Number,
    Patch,
    Record,
    Scalar,
    Shape,
    Text,
    kind,
    kinds,
)
from bundler.graphfile.source import Path, Source, dotted, quoted

_REFERENCE = re.compile(placeholders.PATTERN)


class Absent:
    """What a value is that did not fit."""


ABSENT = Absent()


class Fraction(float):
    """A number that is shown as it was written."""

    text: str

    def __new__(cls, value: float, text: str) -> Self:
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


def closest(wrong: str, known: Iterable[str]) -> str | None:
    """`did you mean "…"?`, where one of the known names is near."""
    names = sorted(known)
    near = get_close_matches(wrong, names, 1, 0.6) or [name for name in names if name.lower() == wrong.lower()]
    return f"did you mean {quoted(near[0])}?" if near else None


def suggestion(wrong: str, known: Iterable[str], what: str) -> str | None:
    """The nearest known name, else all of them where they are few."""
    names = sorted(known)
    if not names:
        return f"there is no {what} at all"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return closest(wrong, names) or f"there is: {shown}"


def found(value: object) -> str:
    """A value as it is shown in a message."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return repr(value)
        case Mapping():
            return "a map"
    return "a list"


def label(path: Path) -> str:
    """The end of a path, enough to know it again beside its position."""
    start = max(len(path) - 2, 0)
    while start > 0 and isinstance(path[start], int):
        start -= 1
    return dotted(path[start:]) or "the file"


class Walker:
    """Collects `problems` while walking one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._partial = False  # in what is laid over something else: null removes, and what is missing is there

    def report(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        self.problems.append(Problem(self.source.at(path, key=key), message, hint))

    def walk(self, shape: Shape, value: Any, path: Path = ()) -> Any:
        """The value as read, or ABSENT where it does not fit at all."""
        if value is None and self._partial:
            return ABSENT
        if kind(value) not in kinds(shape):
            value = self._as_written(value, path)
            shown = found(value)
            if isinstance(shape, Record) and shape.private and isinstance(value, str | int | float):
                shown = "a text"
            hint = getattr(shape, "hint", None)
            message = f"{label(path)} is {shown}, expected {shape.expected}"
            self.report(path, message, hint(value) if hint else None)
            return ABSENT
        match shape:
            case Text():
                return self._text(shape, value, path)
            case Number():
                return self._number(shape, value, path)
            case Flag():
                if shape.only is not None and value is not shape.only:
                    self._misfit(found(shape.only), value, path, None)
                    return ABSENT
                return value
            case Scalar():
                return value
            case ListOf():
                with self._laid_over(is_so=False):
                    return self._list(shape, value, path)
            case MapOf():
                return self._map(shape, value, path)
            case Patch():
                return value
            case Record():
                return self._record(shape, value, path)
            case Either():
                return self.walk(next(each for each in shape.shapes if kind(value) in kinds(each)), value, path)
            case _:
                assert_never(shape)

    def _as_written(self, value: object, path: Path) -> object:
        """For messages and hints: 1.10 is not 1.1 to those who wrote it."""
        text = self.source.written(path) if isinstance(value, float) else None
        return Fraction(value, text) if isinstance(value, float) and text else value

    def _misfit(self, expected: str, value: object, path: Path, hint: Hint | None) -> None:
        value = self._as_written(value, path)
        message = f"{label(path)} is {found(value)}, expected {expected}"
        self.report(path, message, hint(value) if hint else None)

    def _text(self, shape: Text, value: object, path: Path) -> Any:
        text = value if isinstance(value, str) else self.source.written(path) or found(value)
        if not shape.placeholders and (reference := _REFERENCE.search(text)):
            message = f"{label(path)} holds {reference[0]}, and placeholders are not read here"
            hint = shape.hint(text) if shape.hint else None
            self.report(path, message, hint or "they are read in environment, command, entrypoint, a test and configs")
            return ABSENT
        if len(text) > shape.max_length:
            self.report(path, f"{label(path)} is {len(text)} characters long; at most {shape.max_length} are read")
            return ABSENT
        if shape.choices and text not in shape.choices:
            self._misfit(shape.expected, value, path, shape.hint or (lambda _: suggestion(text, shape.choices, "")))
            return ABSENT
        if len(text) < shape.min_length or (shape.pattern is not None and not _compiled(shape.pattern).fullmatch(text)):
            self._misfit(shape.expected, value, path, shape.hint)
            return ABSENT
        return shape.read(text)

    def _number(self, shape: Number, value: Any, path: Path) -> int | float | Absent:
        low = shape.minimum is not None and value < shape.minimum
        low = low or (shape.above is not None and value <= shape.above)
        if low or (shape.maximum is not None and value > shape.maximum):
            self._misfit(shape.expected, value, path, shape.hint)
            return ABSENT
        return int(value) if shape.integer else float(value) if isinstance(value, float) else int(value)

    def _list(self, shape: ListOf, value: Any, path: Path) -> list[Any]:
        if len(value) < shape.min_items:
            hint = shape.hint(value) if shape.hint else None
            self.report(path, f"{label(path)} is an empty list, expected {shape.expected}", hint)
        read: list[Any] = []
        seen: set[tuple[str, object]] = set()
        for index, item in enumerate(value):
            if shape.unique and isinstance(item, str | int | float):
                if (kind(item), item) in seen:
                    self.report((*path, index), f"{found(item)} stands twice in {label(path)}", "keep one of them")
                    read.append(None)
                    continue
                seen.add((kind(item), item))
            good = self.walk(shape.items, item, (*path, index))
            read.append(None if good is ABSENT else good)
        return read

    def _map(self, shape: MapOf, value: Mapping[str, object], path: Path) -> dict[str, Any]:
        if len(value) < shape.min_items:
            self.report(path, f"{label(path)} is an empty map, expected {shape.expected}")
        read: dict[str, Any] = {}
        for name, part in value.items():
            inner = (*path, name)
            if not self.fits(shape.names, name):
                hint = shape.names.hint(name) if shape.names.hint else None
                self.report(inner, f"{quoted(name)} is not {shape.names.expected}", hint, key=True)
            if part is None and shape.empty_hint is not None and not self._partial:
                self.report(inner, f"{label(inner)} is empty, expected {shape.values.expected}", shape.empty_hint(name))
                continue
            good = self.walk(shape.values, part, inner)
            if good is not ABSENT:
                read[name] = good
        return read

    @staticmethod
    def fits(shape: Text, text: str) -> bool:
        """Whether a name fits, without a report."""
        length = shape.min_length <= len(text) <= shape.max_length
        chosen = not shape.choices or text in shape.choices
        return length and chosen and (shape.pattern is None or _compiled(shape.pattern).fullmatch(text) is not None)

    @contextlib.contextmanager
    def _laid_over(self, *, is_so: bool) -> Iterator[None]:
        before, self._partial = self._partial, is_so
        yield
        self._partial = before

    def _record(self, shape: Record, value: Mapping[str, object], path: Path) -> dict[str, Any]:
        known = {key.name: key for key in shape.keys}
        read: dict[str, Any] = {}
        for name, part in value.items():
            inner = (*path, name)
            if name in known:
                with self._laid_over(
                    is_so=name != shape.completed_by and (self._partial or shape.completed_by in value)
                ):
                    good = self.walk(known[name].shape, part, inner)
                if good is not ABSENT:
                    read[name] = good
            elif name in shape.later:
                self.report(inner, f"{name}: {shape.later[name]} not yet supported in this version", key=True)
            else:
                hint = shape.elsewhere.get(name) or closest(name, known) or f"it has: {', '.join(sorted(known))}"
                self.report(inner, f"{quoted(name)} is no key of {shape.title}", hint, key=True)
        if not self._partial and shape.completed_by not in value and not any(name in value for name in shape.later):
            self._complete(shape, value, path)
        return read

    def _complete(self, shape: Record, value: Mapping[str, object], path: Path) -> None:
        for key in shape.keys:
            if key.required and key.name not in value:
                message = f"{label(path)} has no {quoted(key.name)}, which {shape.title} must have"
                self.report(path, message, key.doc, key=True)
        for group in shape.one_of:
            given = [name for name in value if name in group]
            if not given:
                known = (*group, shape.completed_by) if shape.completed_by is not None else group
                self.report(path, f"{label(path)} has none of {_either(known)}, and needs one", key=True)
            elif len(given) > 1:
                both = " and ".join(given)
                self.report((*path, given[1]), f"{label(path)} has {both}; only one of them can hold", key=True)


def _either(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
