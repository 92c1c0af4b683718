"""A row: a concept, the smallest graph that shows it, what each target answers, and how to see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.model.plan import Verdict

if TYPE_CHECKING:
    from .places import Place
    from .running import Running

HEAD = "bundle: par-{key}\nversion: 1.0.0\n"


@dataclass(frozen=True)
class Answer:
    """What a target answers to a row. `notes` are all that its plan says, without the verdict, `…` for what differs
    from run to run; for what no graph can say, parts of what `bundle check` says."""

    verdict: Verdict
    notes: tuple[str, ...] = ()
    at_check: bool = False

    def __str__(self) -> str:
        """As the table says it."""
        reasons = dict.fromkeys(note if self.at_check else note.partition(": ")[2] for note in self.notes)
        return str(self.verdict) + (f": {'; '.join(reasons)}" if reasons else "")


EXACT = Answer(Verdict.EXACT)


def adapted(*notes: str) -> Answer:
    """The plan notes each; the check says what holds instead."""
    return Answer(Verdict.ADAPTED, notes)


def refused(*notes: str) -> Answer:
    """Plan and deploy end with status 6 and say so; nothing is changed."""
    return Answer(Verdict.REFUSED, notes)


def unsayable(*hints: str) -> Answer:
    """No graph can ask for it: `bundle check` ends with status 3 and says what to write instead."""
    return Answer(Verdict.REFUSED, hints, at_check=True)


def alike(pattern: str, text: str) -> bool:
    """Whether `text` is `pattern`, in which `…` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), text, re.DOTALL) is not None


@dataclass(frozen=True)
class Row:
    """`promise` is the check in words. `site` is a site file's text, `platform` what the bundle is built for.
    `without_gpus`: on machines that have none. `defects` are targets that do not keep the promise yet, and why."""

    key: str
    concept: str
    promise: str
    graph: str
    answers: Mapping[str, Answer]
    check: Callable[[Running], None]
    site: str | None = None
    platform: str | None = None
    without_gpus: bool = False
    defects: Mapping[str, str] = field(default_factory=dict)

    def answer(self, place: Place) -> Answer:
        """Raises KeyError where none is given."""
        given = [name for name in place.names if name in self.answers]
        return self.answers[given[0] if given else place.name]

    def defect(self, place: Place) -> str | None:
        """Why the place does not keep the promise, if it does not."""
        return next((self.defects[name] for name in place.names if name in self.defects), None)

    def cell(self, place: Place) -> str:
        """What the table says."""
        defect = self.defect(place)
        return str(self.answer(place)) if defect is None else f"not yet: {defect}"

    @property
    def text(self) -> str:
        return HEAD.format(key=self.key) + self.graph


ROWS: list[Row] = []

Check = Callable[["Running"], None]


def row(
    concept: str,
    graph: str,
    *,
    site: str | None = None,
    platform: str | None = None,
    without_gpus: bool = False,
    defects: Mapping[str, str] | None = None,
    **answers: Answer,
) -> Callable[[Check], Check]:
    """Registers the check under it; its docstring is the promise. `answers` are given by target."""

    def register(check: Check) -> Check:
        promise = " ".join((check.__doc__ or "").split()).rstrip(".")
        key = check.__name__.replace("_", "-")
        ROWS.append(Row(key, concept, promise, graph, answers, check, site, platform, without_gpus, defects or {}))
        return check

    return register
