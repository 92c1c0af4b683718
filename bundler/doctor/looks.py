"""Looks side by side, each within its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bundler.contract import Examining, Target
from bundler.edges.network import Failure
from bundler.errors import BundleError
from bundler.model.finding import Finding

TIMEOUT_S = 10.0
_TARGET = "target "


@dataclass(frozen=True, slots=True)
class Look:
    """For `what` it looks, in one `part` of the whole; `find` may raise BundleError in place of further findings."""

    part: str
    what: str
    purpose: str
    find: Callable[[], Iterable[Finding]]


def looked(looks: Sequence[Look], timeout_s: float = TIMEOUT_S) -> list[tuple[str, Finding]]:
    """The findings with their parts, in the order of the looks. A look that takes longer is left to itself."""
    found: list[list[Finding]] = [[] for _ in looks]
    defects: list[Exception] = []
    threads = [
        threading.Thread(target=_look, args=(look, into, defects), daemon=True)
        for look, into in zip(looks, found, strict=True)
    ]
    ends_at = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    told = []
    for look, thread, into in zip(looks, threads, found, strict=True):
        thread.join(max(ends_at - time.monotonic(), 0.0))
        late = thread.is_alive()
        told += [(look.part, one) for one in tuple(into)]
        if late:
            why = f"no answer within {timeout_s:g} s"
            told.append((look.part, Finding(look.what, why, look.purpose, ok=False, failure=Failure.TIME.word)))
    if defects:
        raise defects[0]
    return told


def _look(look: Look, into: list[Finding], defects: list[Exception]) -> None:
    try:
        for one in look.find():
            into.append(one)  # one by one: what was found in time is told
    except BundleError as error:
        into.append(Finding(look.what, error.what, look.purpose, ok=False, hint=error.hint))
    except Exception as error:
        defects.append(error)


def of_target(name: str, target: Target) -> Look:
    """What a target needs; where it does not tell, whether it answers."""
    purpose = f"deploying with --target {name}"

    def find() -> Iterable[Finding]:
        if isinstance(target, Examining):
            return target.examine()
        return [Finding(name, f"answers; apps there: {len(target.apps())}", purpose)]

    return Look(_TARGET + name, name, purpose, find)


def one_will_do(found: Sequence[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    """Where nobody has said which target: one that lacks something is no failure if another has all it needs."""
    lacking = {part for part, one in found if not one.ok and one.needed}
    if all(part in lacking for part, _ in found if part.startswith(_TARGET)):
        return list(found)
    return [(part, replace(one, needed=False) if part.startswith(_TARGET) else one) for part, one in found]
