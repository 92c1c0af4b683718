"""`# noqa: B101` at the end of a line: what is told there is meant so.

Reads: the text of a graph or variant, its marks, the lints of all of them.
Writes: the lints that are left, and one for each opt-out that fits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bundler.errors import Position
from bundler.graphfile.lints import RULES, Lint, order
from bundler.graphfile.source import Mark, Source

_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*(?i:noqa)\s*:\s*(B[0-9]+(?:[\s,]+B[0-9]+)*)(?![0-9A-Za-z])")
_LINE = re.compile(r"\r\n|\r|\n")
_Place = tuple[int, int]  # line and column


@dataclass(frozen=True, slots=True)
class Noqa:
    where: Position
    codes: tuple[str, ...]


def left(found: Iterable[Lint], sources: Mapping[str, tuple[str, Source]]) -> tuple[Lint, ...]:
    """`sources` are the texts that people write, by file, and what they say."""
    marks = [one for text, source in sources.values() for one in opt_outs(text, source)]
    meant = {(one.where.file, one.where.line, code) for one in marks for code in one.codes}
    kept, fitting = [], set()
    for lint in found:
        where = lint.where
        key = (where.file, where.line, lint.code) if isinstance(where, Position) else None
        if key in meant:
            fitting.add(key)
        else:
            kept.append(lint)
    for one in marks:
        for code in one.codes:
            if code not in RULES:
                message, hint = f"there is no lint {code}", "bundle explain lints names them"
            elif (one.where.file, one.where.line, code) not in fitting:
                message, hint = f"noqa: {code} fits nothing on this line", "take it out"
            else:
                continue
            kept.append(Lint("B001", one.where, ("noqa", code), message, hint))
    return tuple(sorted(kept, key=order))


def opt_outs(text: str, source: Source) -> Iterator[Noqa]:
    """In comments; what looks like one within a text is none."""
    lines = _LINE.split(text.removeprefix("\ufeff"))
    spans = [] if source.marks is None else list(_spans(source.marks, source.data, lines))
    for number, line in enumerate(lines, 1):
        for found in _COMMENT.finditer(line) if "#" in line else ():
            place = (number, found.start() + 1)
            if not any(start <= place < end for start, end in spans):
                codes = tuple(dict.fromkeys(re.findall(r"B[0-9]+", found[1])))
                yield Noqa(Position(source.file, *place), codes)


def _spans(mark: Mark, data: object, lines: list[str]) -> Iterator[tuple[_Place, _Place]]:
    """From where to where texts are. The line that announces a text in several lines (`|`) may end in a comment."""
    if isinstance(data, Mapping):
        for name, part in data.items():
            yield from _spans(mark.parts[name], part, lines)
    elif isinstance(data, list):
        for index, part in enumerate(data):
            yield from _spans(mark.parts[index], part, lines)
    elif isinstance(data, str) and isinstance(mark.value, Position):
        line, column = mark.value.line, mark.value.column
        block = lines[line - 1][column - 1 : column] in ("|", ">")
        yield ((line + 1, 0) if block else (line, column)), mark.end
