"""Every decision of an import: what was found where, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What became of a part of the file."""

    REFUSED = "refused"  # the graph is not the whole system without it
    CHANGED = "changed"  # it is there in another way
    LEFT_OUT = "left out"  # nothing of the graph's, or the site's to say
    TAKEN = "taken"  # found, and said in the graph's words


@dataclass(frozen=True, slots=True)
class Decision:
    """`where` is a path of the Compose file, such as `services.api.ports`."""

    where: str
    verdict: Verdict
    message: str


@dataclass(slots=True)
class Report:
    """Decisions in the order they were made, each once."""

    _decisions: dict[Decision, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions)

    def refused(self, where: str, message: str) -> None:
        self._decisions[Decision(where, Verdict.REFUSED, message)] = None

    def changed(self, where: str, message: str) -> None:
        self._decisions[Decision(where, Verdict.CHANGED, message)] = None

    def left_out(self, where: str, message: str) -> None:
        self._decisions[Decision(where, Verdict.LEFT_OUT, message)] = None

    def taken(self, where: str, message: str) -> None:
        self._decisions[Decision(where, Verdict.TAKEN, message)] = None

    def of(self, verdict: Verdict) -> tuple[Decision, ...]:
        return tuple(each for each in self if each.verdict is verdict)


def lines(report: Report) -> list[str]:
    """For people: what needs them first, what is alike in one line, what is of one part below its name."""
    shown = []
    for verdict in Verdict:
        parts: dict[str, dict[str, list[str]]] = {}
        for each in report.of(verdict):
            part, name = _part(each.where)
            parts.setdefault(part, {}).setdefault(each.message, []).append(name)
        shown += [f"{verdict}:"] if parts else []
        for part, told in parts.items():
            named = [f"{', '.join(names)}: {message}" for message, names in told.items()]
            if part and sum(map(len, told.values())) == 1:
                shown.append(f"  {part}.{named[0]}")
            else:
                shown += [f"  {part}:", *(f"    {each}" for each in named)] if part else [f"  {each}" for each in named]
    return shown


def _part(where: str) -> tuple[str, str]:
    """The part of the file that a place is told with, and how it is called there."""
    steps = where.split(".")
    depth = 3 if steps[2:3] == ["environment"] and len(steps) > 3 else 2 if steps[0] == "services" else 1
    depth = depth if len(steps) > depth and steps[0] else 0
    return ".".join(steps[:depth]), ".".join(steps[depth:])
