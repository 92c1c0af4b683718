"""Regular expressions that graphs bring along, matched in time linear in the text.

Python's own engine can take years over a hostile expression. This reads the part that Python's and ECMAScript's
expressions share and people use (literals, classes, groups, |, * + ? {n,m}, ^ and $; no look-around, no
back-references) and walks all possible states at once (K. Thompson, 1968).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_STATES = 5000
MAX_PARTS = 4 * MAX_STATES  # also those that make no state, such as the empty group in (){9999}
_CLASSES = {
    "d": re.compile(r"[0-9]"),
    "w": re.compile(r"[A-Za-z0-9_]"),
    "s": re.compile(r"[ \t\n\r\f\v]"),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_SPECIAL = set("^$.*+?()[]{}|\\/-")

Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Node:
    """An expression: "char" with `test`, "start", "end", "join" or "either" of `parts`, or "repeat" of one."""

    what: str
    parts: tuple[_Node, ...] = ()
    test: Test | None = None
    low: int = 1
    high: int | None = 1


class PatternError(ValueError):
    """The expression is wrong, or uses what is not supported."""


class Pattern:
    """`search` tells whether the expression matches anywhere in a text."""

    def __init__(self, pattern: str) -> None:
        self._steps: list[tuple[str, Test | None, tuple[int, ...]]] = []
        self._parts = 0
        node = _Parser(pattern).whole()
        self._start = self._compile(node, self._add("accept", None, ()))

    def search(self, text: str) -> bool:
        states: set[int] = set()
        for index in range(len(text) + 1):
            states = self._closure([*states, self._start], at_start=index == 0, at_end=index == len(text))
            if any(self._steps[state][0] == "accept" for state in states):
                return True
            if index < len(text):
                states = {
                    following[0]
                    for what, test, following in (self._steps[state] for state in states)
                    if what == "char" and test is not None and test(text[index])
                }
        return False

    def _add(self, what: str, test: Test | None, following: tuple[int, ...]) -> int:
        if len(self._steps) >= MAX_STATES:
            raise PatternError("the expression is too large")
        self._steps.append((what, test, following))
        return len(self._steps) - 1

    def _compile(self, node: _Node, following: int) -> int:
        """The state in which `node` begins, if `following` comes after it."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise PatternError("the expression is too large")
        match node.what:
            case "join":
                for part in reversed(node.parts):
                    following = self._compile(part, following)
                return following
            case "either":
                return self._add("split", None, tuple(self._compile(part, following) for part in node.parts))
            case "repeat":
                return self._repeat(node, following)
        return self._add(node.what, node.test, (following,))

    def _repeat(self, node: _Node, following: int) -> int:
        (part,) = node.parts
        if node.high is None:
            loop = self._add("split", None, ())
            self._steps[loop] = ("split", None, (self._compile(part, loop), following))
            following = loop
        else:
            end = following
            for _ in range(node.high - node.low):
                following = self._add("split", None, (self._compile(part, following), end))
        for _ in range(node.low):
            following = self._compile(part, following)
        return following

    def _closure(self, states: Iterable[int], *, at_start: bool, at_end: bool) -> set[int]:
        """All states reached without a character."""
        seen: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            what, _, following = self._steps[state]
            if what == "split" or (what == "start" and at_start) or (what == "end" and at_end):
                waiting.extend(following)
        return seen


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        node = self._either()
        if self._at < len(self._text):
            raise PatternError("a ) without its (")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise PatternError("the expression ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _either(self) -> _Node:
        parts = [self._join()]
        while self._peek() == "|":
            self._take()
            parts.append(self._join())
        return parts[0] if len(parts) == 1 else _Node("either", tuple(parts))

    def _join(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._single()))
        return _Node("join", tuple(parts))

    def _repeated(self, node: _Node) -> _Node:
        found = re.compile(r"[*+?]|\{([0-9]{1,4})(,?)([0-9]{0,4})\}").match(self._text, self._at)
        if not found:
            return node
        self._at = found.end()
        if node.what in ("start", "end"):
            raise PatternError("nothing to repeat")
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[0], (-1, None))
        if low < 0:
            low = int(found[1])
            high = (int(found[3]) if found[3] else None) if found[2] else low
        if high is not None and high < low:
            raise PatternError(f"{found[0]} ends before it begins")
        if self._peek() in ("*", "+", "?"):
            raise PatternError(f"{found[0]}{self._peek()} is not supported")
        return _Node("repeat", (node,), low=low, high=high)

    def _single(self) -> _Node:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return _Node("char", test=self._class())
            case ".":
                return _Node("char", test=lambda c: c not in "\n\r")
            case "^":
                return _Node("start")
            case "$":
                return _Node("end")
            case "\\":
                return _Node("char", test=self._escape())
            case "*" | "+" | "?" | "{":
                raise PatternError(f"nothing to repeat before {character}; a literal one is \\{character}")
        return _Node("char", test=lambda c: c == character)

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > 32:
            raise PatternError("groups nest too deep")
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise PatternError("only ( ) and (?: ) groups are supported")
            self._at += 2
        node = self._either()
        if self._peek() != ")":
            raise PatternError("a ( without its )")
        self._take()
        self._depth -= 1
        return node

    def _escape(self) -> Test:
        character = self._take()
        if character.lower() in _CLASSES:
            known, wanted = _CLASSES[character.lower()], character.islower()
            return lambda c: (known.match(c) is not None) is wanted
        literal = _ESCAPES.get(character, character)
        if literal == character and character not in _SPECIAL:
            raise PatternError(f"\\{character} is not supported")
        return lambda c: c == literal

    def _class(self) -> Test:
        tests: list[Test] = []
        wanted = self._peek() != "^"
        if not wanted:
            self._take()
        while (character := self._take()) != "]":
            if character == "\\":
                tests.append(self._escape())
                continue
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._take()
                last = self._take()
                if last in ("\\", "[") or last < character:
                    raise PatternError(f"{character}-{last} is no range")
                tests.append(lambda c, low=character, high=last: low <= c <= high)  # type: ignore[misc]
            else:
                tests.append(lambda c, one=character: c == one)  # type: ignore[misc]
        if not tests:
            raise PatternError("[] is empty")
        return lambda c: any(test(c) for test in tests) is wanted
