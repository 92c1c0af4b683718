"""Logs as they come, for as long as what is followed is there: over restarts, replacements and new instances.

Reads    `Target.logs`, which ends with the containers it began with, and `Target.observe`
Writes   nothing
Next     `cli` prints the lines
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from bundler.contract import Target
from bundler.edges.clock import Clock
from bundler.errors import BundleError
from bundler.model.observed import Instance, LogLine, Observed, State
from bundler.model.times import rfc3339, unix_ns

LOOK_S = 2.0  # between two looks at what is there
GONE_S = 5.0  # a service that is being replaced is away for a moment
MAX_STREAMS = 32  # of one service at a time
REMEMBERED_LINES = 4096
_ENDED = frozenset({State.COMPLETED, State.FAILED})
_SILENT = frozenset({State.CREATED, State.STOPPED, *_ENDED})


@dataclass(frozen=True, slots=True)
class _End:
    """A stream is over; `error` is why, where it did not simply end."""

    stream: int
    error: BundleError | None


@dataclass(slots=True)
class _Followed:
    """One service or job. `covered` are the runs (instance, start) that a stream was opened for."""

    covered: set[tuple[str, str]] = field(default_factory=set)
    streams: set[int] = field(default_factory=set)
    last: str | None = None
    failed: int = 0
    # Who gave a line: of two streams over the same time, one is the first to give it.
    seen: OrderedDict[LogLine, int] = field(default_factory=OrderedDict)

    def is_new(self, line: LogLine, stream: int) -> bool:
        if self.seen.setdefault(line, stream) != stream:
            return False
        if len(self.seen) > REMEMBERED_LINES:
            self.seen.popitem(last=False)
        self.last = line.time
        return True


def follow(
    target: Target,
    app: str,
    service: str | None,
    *,
    since: str | None,
    tail: int | None,
    clock: Clock,
    look_s: float = LOOK_S,
    gone_s: float = GONE_S,
) -> Iterator[LogLine]:
    """Lines of a service or job (all of them where None) until it is gone, or has ended where it is a job.

    Raises TargetError where the target does, and where a log cannot be read.
    """
    return _Follower(target, app, service, since, tail, clock, look_s, gone_s).lines()


@dataclass(slots=True)
class _Follower:
    target: Target
    app: str
    service: str | None
    since: str | None
    tail: int | None
    clock: Clock
    look_s: float
    gone_s: float
    _arrived: queue.Queue[tuple[str, int, LogLine] | tuple[str, int, _End]] = field(
        default_factory=lambda: queue.Queue(maxsize=1000)
    )
    _followed: defaultdict[str, _Followed] = field(default_factory=lambda: defaultdict(_Followed))
    _opened: int = 0
    _services_seen: bool = False
    _missed_since: float | None = None

    def lines(self) -> Iterator[LogLine]:
        first = True
        look_at = self.clock.now()
        while True:
            if self.clock.now() >= look_at:
                observed = self._look(first=first)
                first, look_at = False, self.clock.now() + self.look_s
                if self._is_over(observed) and self._arrived.empty():
                    return
            try:
                name, stream, item = self._arrived.get(timeout=max(look_at - self.clock.now(), 0.01))
            except queue.Empty:
                continue
            followed = self._followed[name]
            if isinstance(item, LogLine):
                followed.failed = 0
                if followed.is_new(item, stream):
                    yield item
                continue
            followed.streams.discard(stream)
            if item.error is not None:  # a container that was removed just then is none; one that stays is
                followed.failed += 1
                followed.covered.clear()
                if followed.failed > 2:
                    raise item.error
            elif self._arrived.empty():
                look_at = min(look_at, self.clock.now() + self.look_s / 4)

    def _look(self, *, first: bool) -> Observed:
        """Open streams for what has begun since the last look."""
        observed = self.target.observe(self.app)
        for name in sorted({_name(one) for one in observed.instances} if self.service is None else {self.service}):
            begun = [one for one in observed.instances if _name(one) == name and one.state is not State.CREATED]
            followed = self._followed[name]
            fresh = [one for one in begun if (one.id, one.started_at) not in followed.covered]
            cut = not followed.streams and any(one.state not in _SILENT for one in begun)
            if begun and (fresh or cut) and len(followed.streams) < MAX_STREAMS:
                self._open(name, followed, fresh, first=first)
                followed.covered |= {(one.id, one.started_at) for one in begun}
        return observed

    def _open(self, name: str, followed: _Followed, fresh: list[Instance], *, first: bool) -> None:
        self._opened += 1
        followed.streams.add(self._opened)
        since, tail = (self.since, self.tail) if first else (_earliest(followed.last, fresh) or self.since, None)
        arguments = (name, self._opened, since, tail)
        threading.Thread(target=self._read, args=arguments, daemon=True, name=f"logs {name}").start()

    def _read(self, name: str, stream: int, since: str | None, tail: int | None) -> None:
        error: BundleError | None = None
        try:
            for line in self.target.logs(self.app, name, follow=True, since=since, tail=tail):
                self._arrived.put((name, stream, line))
        except BundleError as raised:
            error = raised
        self._arrived.put((name, stream, _End(stream, error)))

    def _is_over(self, observed: Observed) -> bool:
        """Whether nothing can come any more."""
        there = [one for one in observed.instances if self.service in (None, _name(one))]
        services = [one for one in there if one.resource.startswith("service/")]
        self._services_seen |= bool(services)
        waited_for = services or [one for one in there if one.state not in _ENDED]
        if waited_for or any(followed.streams for followed in self._followed.values()):
            self._missed_since = None
            return False
        if not self._services_seen and there:
            return True
        if self._missed_since is None:
            self._missed_since = self.clock.now()
        return self.clock.now() - self._missed_since >= self.gone_s


def _name(instance: Instance) -> str:
    return instance.resource.partition("/")[2]


def _earliest(last: str | None, fresh: list[Instance]) -> str | None:
    """From where on lines may be missing: the last one that came, or the start of what began since."""
    times = []
    for text in (last or "", *(one.started_at for one in fresh)):
        try:
            times.append(unix_ns(text))
        except ValueError:
            continue
    return rfc3339(min(times)) if times else None
