"""Puts a node into the text of a graph file, and leaves every other character where it is.

Reads: the text, what to add.
Writes: the new text, proven: read again it is the old data and exactly what was added, in the old order.
Next: `check`.

The place is found by the positions that reading the text gives; nothing is written anew from data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bundler.errors import GraphError, UsageError
from bundler.graphfile.source import Mark, Source, parse, scalar

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_PLAIN = re.compile(r"(?:\./)?[A-Za-z][A-Za-z0-9./@_-]*")
_STEP = 2


@dataclass(frozen=True, slots=True)
class Addition:
    """`name` under a section of the graph: a text, or a map of keys to texts and maps of texts."""

    section: str
    name: str
    data: str | Mapping[str, str | Mapping[str, str]]


def added(text: str, file: str, additions: Sequence[Addition]) -> str:
    """The text with all of them. GraphError where it is no YAML, UsageError where there is no place for one."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    for one in additions:
        body = _added(body, file, one)
    return mark + body


def snippet(additions: Sequence[Addition]) -> str:
    """What to write by hand."""
    sections: dict[str, list[str]] = {}
    for one in additions:
        sections.setdefault(one.section, []).extend(_block(one.name, one.data, _STEP, _STEP))
    return "\n".join(line for section, lines in sections.items() for line in (f"{section}:", *lines))


def _added(text: str, file: str, one: Addition) -> str:
    source = parse(text, file)
    if isinstance(source.data, Mapping) and source.marks is not None:
        section = source.data.get(one.section)
        if section is None or isinstance(section, Mapping):
            page = _Page(text, source)
            data = one.data if isinstance(one.data, str) else _plain(one.data)
            expected = {**source.data, one.section: {**(section or {}), one.name: data}}
            for made in _ways(page, source.marks, one):
                if made is not None and _says(made, file, expected):
                    return made
    raise UsageError(
        f"{file}: {one.section} has no place where it could be put", hint=f"write it there:\n{snippet([one])}"
    )


def _says(text: str, file: str, expected: object) -> bool:
    """Whether a text says so and nothing else, order included."""
    try:
        return repr(parse(text, file).data) == repr(expected)
    except GraphError:
        return False


def _plain(data: Mapping[str, str | Mapping[str, str]]) -> dict[str, str | dict[str, str]]:
    return {key: part if isinstance(part, str) else dict(part) for key, part in data.items()}


class _Page:
    """A text by lines and columns, both from 1, and how it is laid out."""

    def __init__(self, text: str, source: Source) -> None:
        self.text = text
        self.lines = _LINE.findall(text)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        found = re.search(r"\r\n|\r|\n", text)
        self.newline = found[0] if found else "\n"
        root = source.marks or Mark("", "")
        indents = [self.column(part) - self.column(root) for part in root.parts.values() if self.is_block(part)]
        self.step = next((indent for indent in indents if indent > 0), _STEP)

    def at(self, line: int, column: int) -> int:
        """The index of a place in the text."""
        return self._starts[line - 1] + column - 1

    def start(self, mark: Mark) -> int:
        return self.at(mark.value.line, mark.value.column) if not isinstance(mark.value, str) else 0

    def end(self, mark: Mark) -> int:
        return self.at(*mark.end)

    def column(self, mark: Mark) -> int:
        return 1 if isinstance(mark.value, str) else mark.value.column

    def is_block(self, mark: Mark) -> bool:
        """Of a map or list: whether it is written without braces."""
        return bool(mark.parts) and self.text[self.start(mark)] not in "{["

    def after(self, end: tuple[int, int]) -> int:
        """How many lines there are up to the end of something, the rest of its last line included."""
        line, column = end
        return line - 1 if column == 1 else line  # a text in several lines ends where the next line begins

    def past_comments(self, count: int, indent: int) -> int:
        """Further, past the comments that are indented as far."""
        best = count
        for index in range(count, len(self.lines)):
            line = self.lines[index]
            if line.strip() and (not line.lstrip().startswith("#") or len(line) - len(line.lstrip(" ")) < indent):
                break
            best = index + 1 if line.strip() else best
        return best

    def with_lines(self, count: int, lines: Sequence[str]) -> str:
        """The text with further lines after so many."""
        before, after = "".join(self.lines[:count]), "".join(self.lines[count:])
        if before and not before.endswith(("\r", "\n")):
            before += self.newline
        return before + "".join(line + self.newline for line in lines) + after


def _ways(page: _Page, root: Mark, one: Addition) -> Iterator[str | None]:
    """How it could be done, the best first."""
    section = root.parts.get(one.section)
    entry = _inline(one.name, one.data)
    indent = page.column(root) - 1
    if not page.is_block(root):
        whole = f"{one.section}: {{{entry}}}"
        yield _into_braces(page, root, whole) if section is None else _into_braces(page, section, entry)
    elif section is None:
        yield _appended(page, root, one, indent, apart=True)
        yield _appended(page, root, one, indent, apart=False)  # an empty line may belong to the text above it
    elif page.is_block(section):
        yield _below(page, section, one)
    else:
        if not section.parts:
            yield _first(page, section, one, indent)
        yield _into_braces(page, section, entry)


def _below(page: _Page, section: Mark, one: Addition) -> str:
    """After the last of a section, in the way of the others."""
    indent = page.column(section) - 1
    children = list(section.parts.values())
    steps = [page.column(child) - page.column(section) for child in reversed(children) if page.is_block(child)]
    lines = _block(one.name, one.data, indent, next((step for step in steps if step > 0), page.step))
    if len(children) > 1 and _is_apart(page, children[-1]):
        lines.insert(0, "")
    return page.with_lines(page.past_comments(page.after(section.end), indent), lines)


def _is_apart(page: _Page, child: Mark) -> bool:
    """Whether an empty line stands before a node, or before the comments above it."""
    if isinstance(child.key, str):
        return False
    above = child.key.line - 2
    while above >= 0 and page.lines[above].lstrip().startswith("#"):
        above -= 1
    return above >= 0 and not page.lines[above].strip()


def _first(page: _Page, section: Mark, one: Addition, indent: int) -> str | None:
    """In the place of `{}` or nothing."""
    if isinstance(section.key, str):
        return None
    count = section.key.line
    if section.written != "":
        start, end = page.start(section), page.end(section)
        kept = page.text[:start], page.text[end:]
        if re.sub(r"\s", "", page.text[start:end]) not in ("{}", "null", "~"):
            return None
        if re.match(r"[ \t]*(?:[\r\n]|\Z)", kept[1]):
            kept = kept[0].rstrip(" \t"), kept[1].lstrip(" \t")
        rest = _Page("".join(kept), Source("", None))
        rest.newline = page.newline
    else:
        rest = page
    lines = _block(one.name, one.data, indent + page.step, page.step)
    return rest.with_lines(rest.past_comments(count, indent + 1), lines)


def _appended(page: _Page, root: Mark, one: Addition, indent: int, *, apart: bool) -> str:
    """As a new section at the end."""
    count = page.after(root.end)
    while count < len(page.lines) and (not (line := page.lines[count].strip()) or line.startswith("#")):
        count += 1
    lines = [" " * indent + f"{one.section}:", *_block(one.name, one.data, indent + page.step, page.step)]
    if apart and count and page.lines[count - 1].strip():
        lines.insert(0, "")
    return page.with_lines(count, lines)


def _into_braces(page: _Page, mark: Mark, entry: str) -> str | None:
    """As the last of a map in braces: on a line of its own where the others have one."""
    text, close = page.text, page.end(mark) - 1
    if text[close : close + 1] != "}":
        return None
    if not mark.parts:
        start = page.start(mark)
        return f"{text[: start + 1]}{entry}{text[close:]}" if not text[start + 1 : close].strip() else None
    last = list(mark.parts.values())[-1]
    end = page.end(last)
    rest = re.match(r"([ \t]*)(,?)([^\r\n]*(?:\r\n|\r|\n))", text[end:close])
    if rest is None:
        return f"{text[:end]}, {entry}{text[end:]}"
    line = page.lines[last.key.line - 1] if not isinstance(last.key, str) else ""
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    tail = end + rest.end()
    return f"{text[:end]},{rest[1]}{rest[3]}{indent}{entry}{rest[2]}{page.newline}{text[tail:]}"


def _block(name: str, data: str | Mapping[str, str | Mapping[str, str]], indent: int, step: int) -> list[str]:
    """A node as lines."""
    lead = " " * indent
    if isinstance(data, str) or not data:
        return [f"{lead}{_inline(name, data)}"]
    keys = [f"{lead}{' ' * step}{_inline(key, part)}" for key, part in data.items()]
    return [f"{lead}{_text(name)}:", *keys]


def _inline(name: str, data: str | Mapping[str, str | Mapping[str, str]]) -> str:
    """A node on one line."""
    if isinstance(data, str):
        return f"{_text(name)}: {_text(data)}"
    return f"{_text(name)}: {{{', '.join(_inline(key, part) for key, part in data.items())}}}"


def _text(text: str) -> str:
    """In quotes only where it would be read as something else."""
    return text if _PLAIN.fullmatch(text) and scalar(text) == text else json.dumps(text)
