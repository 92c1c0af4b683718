"""Following logs: over restarts and replacements, no line twice, none lost, until nothing is left to follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from bundler.contract import Target
from bundler.edges.clock import SystemClock
from bundler.errors import TargetError
from bundler.follow import follow
from bundler.model.observed import Host, Instance, LogLine, Observed, State
from bundler.model.oci import Platform
from bundler.model.times import rfc3339, unix_ns


@dataclass
class Place:
    """A target whose containers are told what to say; a log ends with its container."""

    instances: dict[str, Instance] = field(default_factory=dict)
    said: dict[str, list[LogLine]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    asked: list[tuple[str | None, int | None]] = field(default_factory=list)
    broken: bool = False
    tick: int = 0

    def start(self, resource: str, id: str, index: int = 0) -> None:
        with self.changed:
            self.tick += 1
            new = Instance(resource, id, id, index, "", State.RUNNING, started_at=rfc3339(self.tick))
            self.instances[id] = new
            self.said.setdefault(id, [])
            self.changed.notify_all()

    def end(self, id: str, state: State | None = None) -> None:
        with self.changed:
            one = self.instances.pop(id)
            if state is not None:
                self.instances[id] = replace(one, state=state)
            self.changed.notify_all()

    def say(self, id: str, *texts: str) -> None:
        with self.changed:
            one = self.instances[id]
            for text in texts:
                self.tick += 1
                name = one.resource.partition("/")[2]
                self.said[id].append(LogLine(rfc3339(self.tick), name, one.index, text))
            self.changed.notify_all()

    def observe(self, app: str) -> Observed:
        with self.changed:
            return Observed(app, Host(Platform("linux", "amd64"), "", ""), tuple(self.instances.values()))

    def logs(self, app: str, service: str, *, follow: bool, since: str | None, tail: int | None) -> Iterator[LogLine]:
        if self.broken:
            raise TargetError("this log cannot be read")
        with self.changed:
            runs = {id: one for id, one in self.instances.items() if one.resource.endswith(f"/{service}")}
            self.asked.append((since, tail))
        given = dict.fromkeys(runs, 0)
        while True:
            with self.changed:
                found = [line for id in runs for line in self.said[id][given[id] :]]
                given = {id: len(self.said[id]) for id in runs}
                live = [id for id, one in runs.items() if self.instances.get(id) == one and one.state is State.RUNNING]
                if not found and not live:
                    return
                if not found:
                    self.changed.wait(1)
            yield from (line for line in found if since is None or unix_ns(line.time) >= unix_ns(since))


class Reader:
    """Follows on a thread of its own."""

    def __init__(self, place: Place, service: str | None = None, **options: Any) -> None:
        self.texts: list[str] = []
        self.error: Exception | None = None
        asked = {"since": None, "tail": None, **options}
        self._lines = follow(cast(Target, place), "app", service, clock=SystemClock(), look_s=0.05, gone_s=0.3, **asked)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for line in self._lines:
                self.texts.append(line.text)
        except TargetError as error:
            self.error = error

    def until(self, *texts: str) -> None:
        """Wait until exactly these were read, in any order."""
        ends_at = time.monotonic() + 10
        while sorted(self.texts) != sorted(texts) and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert sorted(self.texts) == sorted(texts)

    @property
    def ended(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        self._thread.join(0.5)
        return self._thread.is_alive()


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_restarted_container_goes_on_without_a_line_twice(place: Place) -> None:
    place.start("service/api", "a")
    place.say("a", "one", "two")
    reader = Reader(place, "api")
    reader.until("one", "two")
    place.end("a", State.STOPPED)
    assert reader.running
    place.start("service/api", "a")
    place.say("a", "three")
    reader.until("one", "two", "three")
    place.end("a")
    assert reader.ended


def test_a_replaced_container_is_followed_by_the_new_one(place: Place) -> None:
    place.start("service/api", "old")
    place.start("service/db", "db")
    place.say("old", "before")
    reader = Reader(place)
    reader.until("before")
    place.end("old")
    place.start("service/api", "new")
    place.say("new", "after")
    place.say("db", "meanwhile")
    reader.until("before", "after", "meanwhile")
    place.start("service/later", "x")
    place.say("x", "new here")
    reader.until("before", "after", "meanwhile", "new here")
    for id in ("new", "db", "x"):
        place.end(id)
    assert reader.ended
    assert reader.error is None


def test_one_of_several_instances_restarts_while_the_others_go_on(place: Place) -> None:
    place.start("service/api", "a", 0)
    place.start("service/api", "b", 1)
    place.say("a", "a1")
    place.say("b", "b1")
    reader = Reader(place, "api")
    reader.until("a1", "b1")
    place.end("a", State.RESTARTING)
    place.say("b", "b2")
    place.start("service/api", "a", 0)
    place.say("a", "a2")
    place.say("b", "b3", "b4")
    reader.until("a1", "b1", "a2", "b2", "b3", "b4")


def test_a_job_is_followed_to_its_end_and_lines_of_one_moment_all_count(place: Place) -> None:
    place.start("job/seed", "j")
    place.say("j", "same")
    place.said["j"] *= 2
    reader = Reader(place, "seed")
    reader.until("same", "same")
    place.end("j", State.COMPLETED)
    assert reader.ended
    assert reader.texts == ["same", "same"]


def test_what_was_asked_for_holds_for_what_was_there_only(place: Place) -> None:
    place.start("service/api", "a")
    reader = Reader(place, "api", tail=0, since=rfc3339(7))
    assert reader.running
    place.end("a")
    place.start("service/api", "b")
    place.say("b", "first")
    reader.until("first")
    assert place.asked[0] == (rfc3339(7), 0)
    assert all(tail is None for _, tail in place.asked[1:])


def test_a_log_that_cannot_be_read_is_told(place: Place) -> None:
    place.start("service/api", "a")
    place.broken = True
    reader = Reader(place, "api")
    assert reader.ended
    assert "cannot be read" in str(reader.error)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.5Z", 5 * 10**8),
        ("1970-01-01t01:00:00.000000001+01:00", 1),
        ("1969-12-31 23:00:00-01:00", 0),
        ("2026-11-24T03:00:00.123456789Z", 1795489200123456789),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert unix_ns(text) == ns
    assert unix_ns(rfc3339(ns)) == ns


@pytest.mark.parametrize("text", ["", "now", "2026-11-24", "2026-11-24T03:00:00", "2026-13-24T03:00:00Z", "1795489200"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        unix_ns(text)
