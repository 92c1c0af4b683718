"""Takes a node out of the text of a graph file, and leaves every other character where it is.

Reads: the text, what to take out.
Writes: the new text, proven: read again it is the old data without exactly that; None where it is neither whole lines
nor within the braces of one.
Next: `check`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bundler.errors import GraphError, Position
from bundler.graphfile.source import Mark, parse

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_REST = re.compile(r"[ \t]*(?:#.*)?\s*")


def removed(text: str, file: str, section: str, name: str) -> str | None:
    """Without the node, and without the section where it was the only one. Comments above it stay."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    source = parse(body, file)
    data = source.data
    if source.marks is None or not isinstance(data, Mapping) or name not in data.get(section, ()):
        return None
    whole = source.marks.parts[section]
    lines = _LINE.findall(body)
    gone = _lines(whole.parts[name], lines)
    expected = {key: dict(part) if key == section else part for key, part in data.items()}
    del expected[section][name]
    if not expected[section]:
        del expected[section]
        head = _head(whole, lines)
        gone = _lines(whole, lines) if gone is None or head is None else head | gone
    elif gone is None:
        return _proven(_within(whole.parts[name], lines), file, expected, mark)
    if gone is None:
        return None
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    first, last = min(gone), max(gone)
    empty = last < len(lines) and not lines[last].strip()
    above = first == 1 or not lines[first - 2].strip()
    heads = isinstance(whole.key, Position) and whole.key.line == first - 1
    if empty and (above or heads) and len(gone) == last - first + 1:
        del kept[first - 1]  # one empty line is enough, and below the section's name none
    elif last == len(lines) and first > 2 and above and lines[first - 3].strip():
        kept.pop()  # and at the end of the file none
    return _proven("".join(kept), file, expected, mark)


def _proven(made: str | None, file: str, expected: Mapping[str, object], mark: str) -> str | None:
    try:
        same = made is not None and repr(parse(made, file).data) == repr(expected)
    except GraphError:
        return None
    return f"{mark}{made}" if same else None


def _within(node: Mark, lines: list[str]) -> str | None:
    """The text without a node that stands among others in one line, and without the comma that parts it from them."""
    if not isinstance(node.key, Position) or node.end[0] != node.key.line:
        return None
    line = lines[node.key.line - 1]
    before, after = line[: node.key.column - 1], line[node.end[1] - 1 :]
    if comma := re.match(r"[ \t]*,[ \t]*", after):
        after = after[comma.end() :]
    else:
        before = re.sub(r"[ \t]*,[ \t]*\Z", "", before)
    return "".join([*lines[: node.key.line - 1], before + after, *lines[node.key.line :]])


def _lines(node: Mark, lines: list[str]) -> set[int] | None:
    """The numbers of the lines that are a node's and nothing else's."""
    if not isinstance(node.key, Position):
        return None
    end, column = node.end
    if column == 1:  # a text in several lines ends where the next line begins
        end, column = end - 1, len(lines[end - 2]) + 1
    alone = not lines[node.key.line - 1][: node.key.column - 1].strip()
    if not alone or end < node.key.line or not _REST.fullmatch(lines[end - 1][column - 1 :]):
        return None
    return set(range(node.key.line, end + 1))


def _head(section: Mark, lines: list[str]) -> set[int] | None:
    """The line that only names a section."""
    if not isinstance(section.key, Position):
        return None
    line = lines[section.key.line - 1]
    return {section.key.line} if re.fullmatch(r"[ \t]*[A-Za-z\"']+[ \t]*:[ \t]*(?:#.*)?\s*", line) else None
