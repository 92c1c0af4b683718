"""What Compose makes of text without quotes: go-yaml's reading, written as Go writes a value.

`docker compose config` shows it: `1.10` is 1.1, `0644` is 420, `1e6` is 1e+06, `True` is true; `yes` and `22:22` stay.
"""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal

_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?", re.ASCII)
_NAMED = {f"{sign}.{name}": f"{sign or '+'}Inf" for sign in ("", "+", "-") for name in ("inf", "Inf", "INF")}
_NAMED |= dict.fromkeys((".nan", ".NaN", ".NAN"), "NaN")
_TIME = r"\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?"
_DATE = re.compile(rf"(\d{{4}})-(\d{{1,2}})-(\d{{1,2}})(?:(?:[Tt]{_TIME}(?:Z|[-+]\d\d:\d\d)|[ ]+{_TIME}))?", re.ASCII)
_TRUTH = re.compile("True|TRUE|False|FALSE")
_DECIMAL = re.compile(r"(?:0|[1-9]\d*)\.\d+", re.ASCII)
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
_MAX_DIGITS = 64  # of the largest integer of Go, in binary
ALONE = "no text without quotes, so Compose refuses it: here it is the text as it stands"


class Unquoted(str):
    """A text as Compose makes it of `written`, which is another one, or a date, which Compose takes nowhere."""

    written: str

    @classmethod
    def of(cls, written: str) -> str:
        """Of a scalar without quotes; a plain text where Compose takes it as it stands."""
        text = _number(written) or written
        text = text.lower() if _TRUTH.fullmatch(text) else text
        if text == written and not _is_date(written):
            return text
        made = cls(text)
        made.written = written
        return made

    @property
    def told(self) -> str:
        """For people, where Compose takes what is no text."""
        return ALONE if self == self.written else f"{self.written} without quotes is {self}, to Compose and here"

    @property
    def same(self) -> bool:
        """Whether it is the same number or truth, written in another usual way, such as 0.50 or True."""
        return self == self.written.lower() or bool(_DECIMAL.fullmatch(self.written))


def _number(written: str) -> str | None:
    """None for what is no number. https://pkg.go.dev/strconv: ParseInt of base 0, ParseFloat, the format %v."""
    if written in _NAMED:
        return _NAMED[written]
    plain = written.replace("_", "")
    found = _INT.fullmatch(plain)
    if found and found.lastgroup and len(found[found.lastgroup]) <= _MAX_DIGITS:
        value = int(found["sign"] + found[found.lastgroup], _BASES[found.lastgroup])
        if -(1 << 63) <= value < (1 << 63 if found["sign"] else 1 << 64):
            return str(value)
    if not _FLOAT.fullmatch(plain) or math.isinf(number := float(plain)):
        return None
    exact = Decimal(repr(number)).normalize()
    if number and not -4 <= exact.adjusted() < 6:
        return f"{number:.{len(exact.as_tuple().digits) - 1}e}"
    return f"{exact:f}"


def _is_date(written: str) -> bool:
    if found := _DATE.fullmatch(written):
        try:
            return bool(date(*map(int, found.groups())))
        except ValueError:
            pass
    return False
