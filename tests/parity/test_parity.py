"""Every concept, on every target: what the plan says, and what holds in the running system."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bundler.model.plan import Verdict

from .conftest import Workshop
from .places import PLACES, Place
from .row import Answer, Row, alike
from .rows import ROWS
from .running import Running

pytestmark = pytest.mark.timeout(240)

REFUSED_BY_TARGET, REFUSED_BY_GRAPH = 6, 3


def cases() -> Iterator[object]:
    for row in ROWS:
        for place in PLACES:
            marks: list[pytest.MarkDecorator] = [getattr(pytest.mark, name) for name in place.marks]
            defect = row.defect(place)
            if defect is not None:
                marks.append(pytest.mark.xfail(strict=True, reason=defect))
            yield pytest.param(row, place, marks=marks, id=f"{row.key}-{place.name}")


@pytest.mark.parametrize(("row", "place"), list(cases()))
def test_a_concept_holds_as_the_target_says(
    row: Row, place: Place, workshop: Workshop, record_property: Callable[[str, object], None]
) -> None:
    record_property("row", (row.key, place.name))
    lacking = place.missing()
    if lacking is not None:
        pytest.fail(lacking, pytrace=False)
    if row.without_gpus and place.has_gpus():
        pytest.skip(f"{place.name} has GPUs here; the row is about machines without")
    answer = row.answer(place)
    if answer.at_check:
        told = workshop.bundle("check", workshop.graph(row), status=REFUSED_BY_GRAPH).err
        assert [note for note in answer.notes if note not in told] == [], told
        return
    app = f"par-{workshop.session}-{row.key}-{place.name}"[:38].rstrip("-")
    running = Running(workshop.bundle, place, app, workshop.built(row), answer, workshop.site(row))
    if answer.verdict is Verdict.REFUSED:
        _refused(running)
    else:
        seen, running.notes = _planned(running)
        assert seen.verdict == answer.verdict
        assert _unlike(answer.notes, seen.notes) == [], "expected, and what the plan says"
        try:
            running.deploy()
            row.check(running)
        finally:
            running.remove()


def _planned(running: Running) -> tuple[Answer, tuple[str, ...]]:
    """What the plan says about the row, and all it says."""
    said = running.of_file("plan", "--json").json()["notes"]
    notes = {f"{one['resource']} {one['feature']}: {one['reason']}": Verdict(one["verdict"]) for one in said}
    telling = {
        note: verdict
        for note, verdict in notes.items()
        if not any(alike(usual, note) for usual in running.place.usual)
        or any(alike(pattern, note) for pattern in running.answer.notes)
    }
    worst = max(telling.values(), key=list(Verdict).index, default=Verdict.EXACT)
    return Answer(worst, tuple(telling)), tuple(notes)


def _unlike(expected: tuple[str, ...], seen: tuple[str, ...]) -> list[str]:
    """Expected and not seen, seen and not expected."""
    lost = [pattern for pattern in expected if not any(alike(pattern, note) for note in seen)]
    return lost + [note for note in seen if not any(alike(pattern, note) for pattern in expected)]


def _refused(running: Running) -> None:
    """Plan and deploy refuse, with the reason; there is nothing of the app afterwards."""
    planned = running.of_file("plan", "--json", status=REFUSED_BY_TARGET)
    tried = running.of_file("deploy", "--yes", status=REFUSED_BY_TARGET)
    for told in (planned.out + planned.err, tried.err):
        assert [note for note in running.answer.notes if not _within(note, told)] == [], told
    assert running.place.traces(running.app) == set()


def _within(note: str, told: str) -> bool:
    """Whether the reason is told; the resource and feature stand apart in JSON."""
    return alike(f"…{note.partition(': ')[2]}…", told)
