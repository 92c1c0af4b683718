"""YAML text -> plain data that knows where each part of it was written. Nothing else reads YAML.

Reads: the text of a graph or site file.
Writes: `Source`: dict, list, str, int, float, bool and None, with the position of every key and value.
Next: `check.check`, `site.parse_site`.

A strict subset of YAML 1.2: no aliases, anchors, tags, merge keys, second documents or keys that are not text,
and only `true`, `false`, `null`, decimal integers and decimal fractions are anything but text. So what a reader
sees is what is read, an alias bomb cannot be written, and `no`, `012`, `1e3` and `12:30` stay as they stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from bundler.errors import GraphError, Position, Problem

MAX_SIZE_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_PROBLEMS = 100

Path = tuple[str | int, ...]
Where = Position | str

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is about ten times faster
# C0 (but tab, line feed, carriage return), DEL, C1, the two Unicode line separators, surrogates, non-characters.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True)
class Mark:
    """Where one value and its key are; `parts` are the marks of what is in it, by key or index. `end`: the line and
    column behind its last character, 0 where that was not written by hand."""

    value: Where
    key: Where
    written: str | None = None
    parts: dict[str | int, Mark] = field(default_factory=dict)
    end: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """Data and where it came from. `marks` is None for data that was not written by hand."""

    file: str
    data: object
    marks: Mark | None = None

    def at(self, path: Path, *, key: bool = False) -> Where:
        """The position of the value at `path`, or of its key; of the nearest part around it where that is absent.
        A dotted path where the data has no positions."""
        if self.marks is None:
            return dotted(path) or self.file
        mark = self.marks
        for depth, step in enumerate(path):
            inner = mark.parts.get(step)
            if inner is None:
                return mark.key if depth else mark.value
            mark = inner
        return mark.key if key else mark.value

    def written(self, path: Path) -> str | None:
        """The characters of the scalar at `path` as they were written (`1.50`), if they are known."""
        mark = self.marks
        for step in path:
            mark = mark.parts.get(step) if mark else None
        return mark.written if mark else None


def dotted(path: Path) -> str:
    """`services.api.command[0]`; keys that are not plain words stand in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _WORD.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quoted(step)}]"
    return text


def quoted(text: str, limit: int = 80) -> str:
    """The text in double quotes, on one line, safe to print, and cut where it is long."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    shown = shown.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in shown) + '"'


def scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    return text


def parse(text: str, file: str) -> Source:
    """Read a YAML text; GraphError with every problem found where it is not in the subset."""
    text = text.removeprefix("\ufeff")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_SIZE_BYTES:
        message = f"the file is {size} bytes long; at most {MAX_SIZE_BYTES} (1 MiB) are read"
        raise GraphError([Problem(Position(file, 1, 1), message, "large texts belong into files of their own")])
    if found := _CONTROL.search(text):
        before = re.split(r"\r\n|\r|\n", text[: found.start()])
        where = Position(file, len(before), len(before[-1]) + 1)
        raise GraphError([Problem(where, f"the control character U+{ord(found[0]):04X} may not stand in the file")])
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        builder.problems.append(_syntax(error, text, file))
    except _StopError:
        pass
    if builder.problems:
        raise GraphError(sorted(builder.problems, key=problem_order))
    return Source(file, builder.data, builder.marks)


def document(data: object, name: str = "graph") -> Source:
    """Data that was not written as YAML, such as a graph read back from a bundle. GraphError where it is not
    what JSON can say, too deep, or holds control characters."""
    problems: list[Problem] = []
    waiting: list[tuple[Path, object]] = [((), data)]
    while waiting and len(problems) < MAX_PROBLEMS:
        path, value = waiting.pop()
        message = _not_plain(value, len(path))
        if message:
            problems.append(Problem(dotted(path) or name, message))
        elif isinstance(value, Mapping):
            for key, part in value.items():
                if not isinstance(key, str) or _CONTROL.search(key) or "\n" in key:
                    problems.append(Problem(dotted(path) or name, f"the key {quoted(str(key))} is not plain text"))
                else:
                    waiting.append(((*path, key), part))
        elif isinstance(value, list | tuple):
            waiting.extend(((*path, index), part) for index, part in enumerate(value))
    if problems:
        raise GraphError(sorted(problems, key=problem_order))
    return Source(name, data)


def merge(first: Source, *patches: Source) -> Source:
    """JSON Merge Patch (RFC 7386), each patch over what is before it; positions come along."""
    data, marks = first.data, first.marks or unplaced(first.data, first.file)
    for patch in patches:
        if isinstance(patch.data, Mapping):
            data, marks = patched(data, marks, patch.data, patch.marks or unplaced(patch.data, patch.file))
        elif patch.data is not None:  # an empty file says nothing
            data, marks = patch.data, patch.marks or unplaced(patch.data, patch.file)
    return Source(first.file, data, marks)


def placed(data: object, where: str) -> Source:
    """Data that all comes from one place, such as an option of the command line."""
    return Source(where, data, unplaced(data, where))


def problem_order(problem: Problem) -> tuple[str, int, int, str]:
    """By file, line and column; problems without a position by their path, before the others."""
    where = problem.where
    return (where.file, where.line, where.column, "") if isinstance(where, Position) else ("", 0, 0, where)


def unplaced(data: object, where: str) -> Mark:
    """Marks that all say the same place."""
    mark = Mark(where, where)
    parts: Iterator[tuple[str | int, object]]
    if isinstance(data, Mapping):
        parts = iter(data.items())
    elif isinstance(data, list | tuple):
        parts = iter(enumerate(data))
    else:
        return mark
    mark.parts = {key: unplaced(part, where) for key, part in parts}
    return mark


def patched(
    old: object, old_mark: Mark, patch: Mapping[str, object], mark: Mark, *, keep_null: bool = False
) -> tuple[dict[str, object], Mark]:
    """A JSON Merge Patch (RFC 7386) over data, with their marks. `keep_null`: null stays, to be laid over something
    else in its turn."""
    result = dict(old) if isinstance(old, Mapping) else {}
    known = old_mark if result else Mark(mark.value, mark.key)
    merged = Mark(known.value, known.key, parts=dict(known.parts))
    for key, value in patch.items():
        if value is None and not keep_null:
            result.pop(key, None)
            merged.parts.pop(key, None)
        elif isinstance(value, Mapping):
            inner = merged.parts.get(key, mark.parts[key])
            part = patched(result.get(key), inner, value, mark.parts[key], keep_null=keep_null)
            result[key], merged.parts[key] = part
        else:
            result[key], merged.parts[key] = value, mark.parts[key]
    return result, merged


def _not_plain(value: object, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} levels deep"
    match value:
        case str():
            found = _CONTROL.search(value)
            return f"holds the control character U+{ord(found[0]):04X}" if found else None
        case float():
            return None if math.isfinite(value) else "is not a finite number"
        case None | bool() | int() | Mapping() | list() | tuple():
            return None
    return f"is a {type(value).__name__}, which is no JSON data"


class _StopError(Exception):
    """Enough problems, or one after which nothing more can be said."""


@dataclass(slots=True)
class _Open:
    """A map or list whose end has not been read yet. `key` is set while a map waits for its value."""

    data: dict[str, object] | list[object]
    mark: Mark
    key: str | None = None
    key_at: Position | None = None
    lost: int = 0  # depth of a value that has no usable key and is read past


class _Builder:
    """Takes the parser's events one by one; an explicit stack, so depth costs no recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: object = None
        self.marks = Mark(Position(file, 1, 1), Position(file, 1, 1))
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._documents = 0
        self._keys = 0
        self._end = (1, 1)

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._report(self._at(event), "a second document starts here; a file holds one", stop=True)
            case yaml.AliasEvent():
                message = f"*{event.anchor} is a YAML alias; aliases and anchors are not read"
                self._report(self._at(event), message, "write the value out: what stands in the file is what is signed")
                self._value(None, Mark(self._at(event), self._at(event)))
            case yaml.ScalarEvent():
                self._refuse_extras(event)
                self._ended(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_extras(event)
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [], self._at(event))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._ended(event)
                self._stack.pop().mark.end = self._end

    def _ended(self, event: yaml.Event) -> None:
        """What has no characters of its own, such as the end of a map without braces, ends where the last thing did."""
        if event.end_mark and event.start_mark and event.end_mark.index > event.start_mark.index:
            self._end = (event.end_mark.line + 1, event.end_mark.column + 1)

    def _at(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        return Position(self.file, mark.line + 1, mark.column + 1) if mark else Position(self.file, 1, 1)

    def _report(self, where: Position, message: str, hint: str | None = None, *, stop: bool = False) -> None:
        self.problems.append(Problem(where, message, hint))
        if stop or len(self.problems) >= MAX_PROBLEMS:
            raise _StopError

    def _refuse_extras(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            message = f"&{event.anchor} is a YAML anchor; aliases and anchors are not read"
            self._report(self._at(event), message, "write the value out where it is used")
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            self._report(self._at(event), f"{tag} is a YAML tag; tags are not read", "leave it out")

    def _open(self, data: dict[str, object] | list[object], at: Position) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._report(at, f"nested more than {MAX_DEPTH} levels deep", stop=True)
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.data, dict) and parent.key is None:
            self._report(at, "a list or map is no key; a key is text", "quote a key that begins with { or [")
            parent.key, parent.key_at = self._spare_key(), at
        mark = Mark(at, at)
        self._value(data, mark)
        self._stack.append(_Open(data, mark))

    def _spare_key(self) -> str:
        """Stands for a key already reported, so that reading can go on."""
        self._keys += 1
        return f"\x00{self._keys}"

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        at = self._at(event)
        text: str = event.value
        if found := _CONTROL.search(text):
            self._report(at, f"the text holds the control character U+{ord(found[0]):04X}")
        value = text if event.style else scalar(text)
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.data, dict) and parent.key is None:
            parent.key, parent.key_at = self._key(parent, value, text, at), at
        else:
            self._value(value, Mark(at, at, None if isinstance(value, str) else text, end=self._end))

    def _key(self, parent: _Open, value: object, text: str, at: Position) -> str:
        if not isinstance(value, str):
            kind = "empty" if text == "" else "a number" if isinstance(value, int | float) else "not text"
            kind = "true or false, not text" if isinstance(value, bool) else kind
            self._report(at, f"the key {text or '(nothing)'} is {kind}; a key is text", f'quote it: "{text}":')
            return self._spare_key()
        if value == "<<":
            self._report(at, "<< is a YAML merge key; merge keys are not read", "write the keys out")
            return self._spare_key()
        if "\n" in value:
            self._report(at, f"the key {quoted(value)} is longer than one line")
            return self._spare_key()
        if value in parent.data:
            first = parent.mark.parts[value].key
            place = f"line {first.line}, column {first.column}" if isinstance(first, Position) else first
            self._report(at, f"the key {quoted(value)} stands twice in one map; first at {place}", "keep one of them")
            return self._spare_key()
        return value

    def _value(self, value: object, mark: Mark) -> None:
        if not self._stack:
            self.data, self.marks = value, mark
            return
        parent = self._stack[-1]
        if isinstance(parent.data, list):
            parent.mark.parts[len(parent.data)] = mark
            parent.data.append(value)
        elif parent.key is None:
            parent.key, parent.key_at = self._spare_key(), None  # an alias as a key: reported already
        else:
            mark.key = parent.key_at or mark.value
            parent.mark.parts[parent.key] = mark
            parent.data[parent.key] = value
            parent.key = None


_SYNTAX = (
    ("mapping values are not allowed", 'a ": " where none can stand', 'quote a value that holds ": "'),
    ("could not find expected ':'", 'a key without ": " after it', "check the indentation, and quotes left open"),
    ("expected ',' or '}'", "the map that opens with { goes wrong here", "look for a missing comma, quote or }"),
    ("expected ',' or ']'", "the list that opens with [ goes wrong here", "look for a missing comma, quote or ]"),
    ("did not find expected key", "expected a key here", "check the indentation: keys of one map begin in one column"),
    ("expected <block end>", "expected a key here", "check the indentation: keys of one map begin in one column"),
    ("did not find expected '-'", "expected a list item here", "check the indentation of the list"),
    ("found unexpected end of stream", "the file ends inside a quoted text", "close the quotes"),
)


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split("\n")[0]
    if mark is None:
        return Problem(Position(file, 1, 1), f"not YAML: {said}")
    where = Position(file, mark.line + 1, mark.column + 1)
    lines = re.split(r"\r\n|\r|\n", text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    here = line[mark.column : mark.column + 1]
    if here == "{" and line[: mark.column].endswith("$"):
        where = Position(file, where.line, where.column - 1)
        end = line.find("}", mark.column)
        shown = line[mark.column - 1 : end + 1] if end > 0 else "${…}"
        message = f"{shown} must be quoted inside {{…}} and […]"
        return Problem(where, message, f'put the whole value in double quotes, as in "{shown}"')
    if here == "\t":
        return Problem(where, "a tab where YAML wants spaces", "indent with spaces")
    if "cannot start any token" in said and here:
        return Problem(where, f"an unquoted value cannot begin with {here}", "quote the value")
    if "nesting depth" in said:  # libyaml has a limit of its own since 0.2.6, and reads ahead of its events
        return Problem(where, f"nested more than {MAX_DEPTH} levels deep")
    context = getattr(error, "context_mark", None)
    since = f" (it begins in line {context.line + 1})" if context is not None and context.line != mark.line else ""
    for found, message, hint in _SYNTAX:
        if found in said:
            return Problem(where, f"not YAML: {message}{since}", hint)
    return Problem(where, f"not YAML: {said}{since}")
