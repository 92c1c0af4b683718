"""Logs of several containers as one stream of lines, oldest first."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from bundler.errors import BundleError
from bundler.model.observed import LogLine
from bundler.model.times import unix_ns
from targets.engine.api import Engine

HEADER_BYTES = 8
WINDOW_LINES = 200
_END: Final = object()


def lines(
    engine: Engine,
    members: Iterable[tuple[str, str, int]],
    *,
    follow: bool,
    since: str | None,
    tail: int | None,
) -> Iterator[LogLine]:
    """`members` are (container, node, index). What is there already is merged by time; with `follow`, what comes
    later is given as it comes."""
    streams = [
        container_lines(engine, container, node, index, follow=follow, since=since, tail=tail)
        for container, node, index in members
    ]
    if follow and len(streams) != 1:
        return _as_they_come(streams)
    if not follow:
        streams = [_in_order(_not_before(since, stream)) for stream in streams]
    return iter(heapq.merge(*streams, key=lambda line: line.time))


def _not_before(since: str | None, lines: Iterable[LogLine]) -> Iterable[LogLine]:
    """The engine compares times up to the first line it shows, so an older one may come after it."""
    if since is None:
        return lines
    since_ns = unix_ns(since)
    return (line for line in lines if unix_ns(line.time) >= since_ns)


def _in_order(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """The engine writes the two streams of a container side by side, so neighbours may be out of order."""
    window: list[tuple[str, int, LogLine]] = []
    for number, line in enumerate(lines):
        heapq.heappush(window, (line.time, number, line))
        if len(window) > WINDOW_LINES:
            yield heapq.heappop(window)[-1]
    while window:
        yield heapq.heappop(window)[-1]


def container_lines(
    engine: Engine, container: str, node: str, index: int, *, follow: bool, since: str | None, tail: int | None
) -> Iterator[LogLine]:
    for raw in split(engine.logs(container, follow=follow, since=since, tail=tail)):
        time, _, text = raw.decode(errors="replace").partition(" ")
        yield LogLine(time, node, index, text.removesuffix("\r"))


def split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, each with its timestamp, out of the engine's frames.

    The two streams' lines are put together separately. A line too long for one frame comes in several, each with a
    timestamp of its own; the first one counts.
    """
    waiting = bytearray()
    unfinished: dict[int, bytes] = {}
    for piece in pieces:
        waiting += piece
        while len(waiting) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(waiting[4:HEADER_BYTES], "big")
            if len(waiting) < end:
                break
            stream, frame = waiting[0], bytes(waiting[HEADER_BYTES:end])
            del waiting[:end]
            begun = unfinished.pop(stream, b"")
            *lines, rest = (begun + frame.partition(b" ")[2] if begun else frame).split(b"\n")
            yield from lines
            if rest:
                unfinished[stream] = rest
    yield from unfinished.values()


def _as_they_come(streams: list[Iterator[LogLine]]) -> Iterator[LogLine]:
    """One thread per container; an error of one ends all."""
    lines: queue.Queue[object] = queue.Queue(maxsize=1000)
    for stream in streams:
        threading.Thread(target=_pass_on, args=(stream, lines), daemon=True, name="logs").start()
    running = len(streams)
    while running:
        got = lines.get()
        if got is _END:
            running -= 1
        elif isinstance(got, BundleError):
            raise got
        elif isinstance(got, LogLine):
            yield got


def _pass_on(stream: Iterator[LogLine], lines: queue.Queue[object]) -> None:
    try:
        for line in stream:
            lines.put(line)
    except BundleError as error:
        lines.put(error)
    lines.put(_END)
