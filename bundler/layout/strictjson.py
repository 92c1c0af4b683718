"""JSON with one reading: strict when parsed, canonical when written.

Parsers that disagree about duplicate keys or about what follows the value are how a checked document comes to
differ from the one that is used (distribution GHSA-qq97-vm5h-rrhg). Here whatever could be read in two ways
is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

MAX_DEPTH = 32
_INT_LIMIT = 1 << 63


class JsonError(ValueError):
    """The document is not JSON of the strict kind; says why."""


def parse(data: bytes) -> object:
    """One JSON value, nothing after it. JsonError for duplicate keys, NaN and infinities, a byte order mark,
    lone surrogates, integers beyond 64 bits, more than 32 levels, or bytes that are not UTF-8."""
    try:
        value: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except JsonError:
        raise
    except RecursionError as error:
        raise JsonError(f"more than {MAX_DEPTH} levels") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise JsonError(str(error)[:200]) from error
    _check(value)
    return value


def parse_object(data: bytes) -> dict[str, object]:
    value = parse(data)
    if not isinstance(value, dict):
        raise JsonError("not a JSON object")
    return value


def canonical(value: object) -> bytes:
    """Sorted keys, no space, UTF-8; ValueError for what has no JSON form."""
    plain = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
    )
    return plain.encode("utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"no JSON form: {type(value).__name__}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"the key {key[:80]!r} is there twice")
            seen.add(key)
    return found


def _constant(text: str) -> NoReturn:
    raise JsonError(f"{text} is not JSON")


def _integer(text: str) -> int:
    if len(text) > 20 or not -_INT_LIMIT <= (number := int(text)) < _INT_LIMIT:
        raise JsonError("an integer of more than 64 bits")
    return number


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise JsonError("a number too large")
    return number


def _check(value: object) -> None:
    """Depth and surrogates, without recursion."""
    todo: list[tuple[object, int]] = [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise JsonError(f"more than {MAX_DEPTH} levels")
            if isinstance(item, dict):
                for key in item:
                    _check_text(key)
            todo += [(child, depth + 1) for child in (item.values() if isinstance(item, dict) else item)]


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise JsonError("a lone surrogate") from error
