"""What a cluster tells of an object while it is watched.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from targets.k8s.names import Json

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse


def events(answer: BaseHTTPResponse) -> Iterator[Json]:
    """Until an error, or until the connection ends."""
    from urllib3.exceptions import HTTPError

    with suppress(HTTPError):
        for line in _lines(answer.stream(1 << 16)):
            told: Json = json.loads(line)
            if told["type"] == "ERROR":
                return
            yield told


def is_gone(events: Iterator[Json], uid: str) -> bool:
    return any(told["type"] == "DELETED" and told["object"]["metadata"]["uid"] == uid for told in events)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line.strip())


def grace_s(found: Json) -> int:
    spec = found.get("spec") or {}
    template = ((spec.get("jobTemplate") or {}).get("spec") or spec).get("template") or {}
    return int((template.get("spec") or {}).get("terminationGracePeriodSeconds", 0))
