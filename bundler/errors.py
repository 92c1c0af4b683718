"""The error tree. One class per exit code of the command line; nothing else decides an exit status.

0 done, 1 our defect, 2 usage, 3 graph invalid, 4 source or registry, 5 trust, 6 target refused,
7 stopped part-way (run the same command again), 8 deployed but not healthy, 9 not done because the answer was no.
Besides these: 129 its terminal was closed, 130 interrupted, 141 nobody reads the output any more, 143 terminated.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: where it is, what is wrong and what was expected, and how to mend it."""

    where: Position | str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{self.where}: {self.message}{hint}"


def typed(word: object) -> str:
    """A path or a word in a command that a hint names: in quotes where a shell would take it apart, and no option.
    What cannot be shown is in the form of bash and zsh, by its bytes."""
    text = str(word)
    text = f"./{text}" if text.startswith("-") else text
    if text.isprintable():
        return shlex.quote(text)
    shown = (char if char.isprintable() and char not in "'\\" else _octets(char) for char in text)
    return f"$'{''.join(shown)}'"


def _octets(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))


class BundleError(Exception):
    """Base of every error shown to the user without a stack trace.

    `what` says what happened and where in one line; `hint` says what to do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class UsageError(BundleError):
    """The command line or a site file asks for something that cannot be."""

    exit_code = 2


class GraphError(BundleError):
    """The graph, or a library for graphs, is invalid; carries every problem found, sorted by position."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem], place: str = "graph") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the {place}")


class SourceError(BundleError):
    """An image, a model or a file that the graph names cannot be had."""

    exit_code = 4


class TrustError(BundleError):
    """The bundle is damaged, unsigned, or signed by nobody the policy trusts."""

    exit_code = 5


class TargetError(BundleError):
    """The target cannot do what the release needs, cannot be reached, or refuses."""

    exit_code = 6


class StoppedError(BundleError):
    """The run ended part-way; running the same command again continues it."""

    exit_code = 7


class UnhealthyError(BundleError):
    """Everything was applied, and something is not healthy."""

    exit_code = 8


class DeclinedError(BundleError):
    """The user was asked and did not want it; nothing was changed."""

    exit_code = 9
