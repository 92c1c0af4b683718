"""Compose's `${VAR}` in its six forms, and the files that variables are set in.

A text is read into its parts, so that a variable can become a knob of the graph; `settled` is what Compose would make
of it with the variables of `.env` and no others: the shell of whoever imports is not asked.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bundler.errors import UsageError

MAX_NESTED = 32
MAX_CHARACTERS = 1 << 20  # of a text with its variables written out
EMPTY = "\ue002"  # a private character for what a variable leaves empty
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ENTRY = re.compile(  # in time that grows with the text alone: nothing of it is tried in two ways
    r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*+)[ \t]*+"
    r"""(?P<value>[=:][ \t]*+(?:'(?P<literal>[^']*+)'|"(?P<quoted>(?:[^"\\]|\\[\s\S])*)"|"""
    r"""(?P<bare>(?!['"])(?:(?!(?<=[ \t])#)[^\n])*)))?[ \t]*+(?:(?<=[\s'"])#[^\n]*+)?(?:\n|\Z)"""
)


@dataclass(frozen=True, slots=True)
class Variable:
    """`${name}`, or with an operator such as `:-` and what stands behind it."""

    name: str
    operator: str = ""
    rest: str = ""

    @property
    def optional(self) -> bool:
        """Whether the file says what holds without it."""
        return self.operator in (":-", "-")

    @property
    def written(self) -> str:
        return f"${{{self.name}{self.operator}{self.rest}}}"

    @property
    def required(self) -> bool:
        return self.operator in (":?", "?")


class Given(dict[str, str]):
    """The variables that are set. `files`: those that another file than `.env` sets -> that file."""

    files: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Spread:
    """A text as Compose makes it, and from where to where in it each variable stands, one without a text as EMPTY."""

    text: str
    places: tuple[tuple[int, int, Variable], ...]

    def within(self, start: int, end: int) -> tuple[tuple[int, int, Variable], ...]:
        """Those that stand there, in part or as a whole."""
        first = bisect_right(self.places, start, key=lambda place: place[1])
        return self.places[first : bisect_left(self.places, end, key=lambda place: place[0])]

    def alone(self, start: int, end: int) -> Variable | None:
        """The variable that gives all that stands there."""
        found = self.within(start, end)
        only = found[0] if len(found) == 1 and found[0][:2] == (start, end) else None
        return only[2] if only and only[2].operator not in (":+", "+") else None


def parse(text: str) -> tuple[str | Variable, ...]:
    """Literal texts (with `$$` as `$`) and variables, in order."""
    parts: list[str | Variable] = []
    literal, index = "", 0
    while index < len(text):
        dollar = text.find("$", index)
        if dollar != index:
            end = dollar if dollar > 0 else len(text)
            literal += text[index:end]
            index = end
            continue
        found, index = _variable(text, index)
        if isinstance(found, str):
            literal += found
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(found)
    return (*parts, literal) if literal else tuple(parts)


def _variable(text: str, index: int) -> tuple[str | Variable, int]:
    """What stands at a `$`, and where the text goes on."""
    if text.startswith("$$", index):
        return "$", index + 2
    if not text.startswith("${", index):
        name = _NAME.match(text, index + 1)
        return (Variable(name[0]), name.end()) if name else ("$", index + 1)
    depth, end = 1, index + 2
    while end < len(text) and depth:
        if depth > MAX_NESTED:
            raise UsageError(f"a variable is nested more than {MAX_NESTED} levels deep: {text[:40]}…")
        depth += text.startswith("${", end) - (text[end] == "}")
        end += 1
    name = _NAME.match(text, index + 2)
    if depth or not name:
        return "$", index + 1
    tail = text[name.end() : end - 1]
    for operator in _OPERATORS:
        if tail.startswith(operator):
            return Variable(name[0], operator, tail[len(operator) :]), end
    return (Variable(name[0]), end) if not tail else ("$", index + 1)


def variables(text: str) -> Iterator[Variable]:
    """Those of a text, not those within their defaults."""
    return (part for part in parse(text) if isinstance(part, Variable))


def settled(text: str, given: Mapping[str, str]) -> str:
    """The text as Compose makes it. UsageError where that is longer than any that is meant."""
    made = ""
    for part in parse(text):
        made += part if isinstance(part, str) else meaning(part, given)
        if len(made) > MAX_CHARACTERS:
            raise UsageError(f"with its variables written out this is longer than 1 MiB: {text[:40]}…")
    return made


def spread(text: str, given: Mapping[str, str]) -> Spread:
    made, places = "", []
    for part in parse(text):
        start = len(made)
        if isinstance(part, Variable):
            made += meaning(part, given) or ("" if part.operator in (":+", "+") else EMPTY)
            places.append((start, len(made), part))
        else:
            made += part
    return Spread(made, tuple(places))


def meaning(variable: Variable, given: Mapping[str, str]) -> str:
    rest = behind(variable, given)
    return given.get(variable.name) or "" if rest is None else settled(rest, given)


def behind(variable: Variable, given: Mapping[str, str]) -> str | None:
    """What stands behind its operator where that holds, and not the variable."""
    value = given.get(variable.name)
    has = bool(value) if variable.operator.startswith(":") else value is not None
    if variable.operator in (":+", "+"):
        return variable.rest if has else ""
    return variable.rest if variable.optional and not has else None


def asked(text: str, given: Mapping[str, str]) -> Iterator[Variable]:
    """The variables that the meaning of a text comes from: those within a default where it holds."""
    for one in variables(text):
        yield one
        yield from asked(behind(one, given) or "", given)


def origin(text: str, given: Mapping[str, str]) -> str:
    """Which of them an env file sets, for people; empty where one says it all, and it is not set."""
    names = list(dict.fromkeys(one.name for one in asked(text, given)))
    within, without = ([name for name in names if (name in given) is known] for known in (True, False))
    said = [f"{several(without)} not set"] if without else []
    files = given.files if isinstance(given, Given) else {}
    for file in dict.fromkeys(files.get(name, ".env") for name in within):
        said.append(f"{several([name for name in within if files.get(name, '.env') == file])} set in {file}")
    return f" ({', '.join(said)})" if within or len(names) > 1 else ""


def several(names: Sequence[str]) -> str:
    return f"{listed(names)} {'is' if len(names) == 1 else 'are'}"


def listed(names: Sequence[str]) -> str:
    """For people; of many the first eight."""
    names = [*names[:8], f"{len(names) - 8} more"] if len(names) > 9 else names
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def read_env(
    text: str, given: Mapping[str, str], before: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str | None]:
    """The variables of an env file; None for a name alone. Values may name variables: those that are `given`, whatever
    the file says of them, its own before them, and those of files `before` it. One in quotes may have several lines."""
    found: dict[str, str | None] = {}
    known = {**before, **given}
    for _, entry in _entries(text):
        if entry is None:
            continue
        name, value = entry["name"], entry["literal"]
        if value is None and entry["value"] is not None:
            quoted = entry["quoted"]
            value = settled(entry["bare"].strip() if quoted is None else _unescaped(quoted), known)
        found[name] = value
        if value is not None and name not in given:
            known[name] = value
    return found


def named(text: str, given: Mapping[str, str]) -> list[str]:
    """The variables that values of an env file name, and that are given, or that it does not set itself."""
    found = [entry for _, entry in _entries(text) if entry is not None]
    texts = (entry["quoted"] or entry["bare"] or "" for entry in found)
    own = {entry["name"] for entry in found}.difference(given)
    return list(dict.fromkeys(one.name for each in texts for one in asked(each, given) if one.name not in own))


def unread(text: str) -> tuple[int, ...]:
    """The lines of an env file, from 1, that set no variable and should."""
    return tuple(line for line, entry in _entries(text) if entry is None)


def _entries(text: str) -> Iterator[tuple[int, re.Match[str] | None]]:
    """What is neither empty nor a comment, with its line; None for what is no variable."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    line, index = 1, 0
    while index < len(text):
        found = _BLANK.match(text, index)
        if found is None:
            found = _ENTRY.match(text, index)
            yield line, found
        end = found.end() if found else text.find("\n", index) + 1 or len(text)
        line, index = line + text.count("\n", index, end), end


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]), text)
