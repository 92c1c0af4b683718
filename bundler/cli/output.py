"""What people and scripts read: the answer on stdout, everything else on stderr, control characters escaped."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import click

from bundler.edges.files import failure
from bundler.errors import Problem

_KEEP = {"\n", "\t"}


def clean(text: str) -> str:
    """The text with every character that could drive a terminal written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in _KEEP or _shown(char) else _escape(char) for char in text)


def _shown(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a path that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def answer(text: str = "") -> None:
    """A line of the answer. Raises StoppedError or UsageError where it cannot be written."""
    answer_text(clean(text) + "\n")


def answer_json(data: object) -> None:
    """The answer for a program."""
    answer_text(json.dumps(data, indent=2, ensure_ascii=True) + "\n")


def answer_text(text: str) -> None:
    """A part of the answer as it is."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise failure(error, Path("standard output"), "writing") from error


def answer_bytes(data: bytes) -> None:
    """An answer that is no text."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise failure(error, Path("standard output"), "writing") from error


def note(text: str) -> None:
    """A line that is not part of the answer."""
    _say(clean(text))


def error(what: str, hint: str | None = None) -> None:
    """An error: what happened, and what to do below it."""
    _styled("error", "red", what)
    for line in (hint or "").splitlines():
        note(f"  {line}")


def problem(one: Problem) -> None:
    """A problem in a file: where it is, what it is, how to mend it."""
    where = clean(str(one.where))
    where = click.style(where, bold=True) if _colour() else where
    _say(f"{where}: {clean(one.message)}")
    for line in (one.hint or "").splitlines():
        note(f"    {line}")


def _styled(word: str, colour: str, text: str) -> None:
    shown = click.style(word, fg=colour, bold=True) if _colour() else word
    _say(f"{shown}: {clean(text)}")


def _say(text: str) -> None:
    """Where nobody can be told, the work goes on."""
    try:
        click.echo(text, err=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: IO[str]) -> None:
    """What is left in a stream that cannot be written, and what comes, goes nowhere; else Python would try once more
    at its end."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def in_colour() -> bool:
    """Whether the answer is read at a terminal that shows colours."""
    return drawable(sys.stdout) and not os.environ.get("NO_COLOR")


def _colour() -> bool:
    return drawable(sys.stderr) and not os.environ.get("NO_COLOR")


def drawable(stream: IO[str]) -> bool:
    """Whether it is a terminal that knows more than lines of text."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines with aligned columns."""
    shown = [[clean(cell) for cell in row] for row in rows]
    if not shown:
        return []
    widths = [max(len(row[i]) if i < len(row) else 0 for row in shown) for i in range(max(map(len, shown)))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))).rstrip()
        for row in shown
    ]


def size(count_bytes: float) -> str:
    """A size for people: powers of 1,024, three digits."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.3g} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def count(number: int, plural: str) -> str:
    """`3 services`, `1 service`."""
    return f"{number} {plural.removesuffix('s') if number == 1 else plural}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like a mistyped one."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)
