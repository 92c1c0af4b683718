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
    """For people: what needs them first."""
    shown = []
    for verdict in Verdict:
        found = report.of(verdict)
        if found:
            shown.append(f"{verdict}:")
            shown += [f"  {each.where}: {each.message}" for each in found]
    return shown
