"""Logs of several pods as one stream of lines, oldest first."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bundler.model.observed import LogLine
from targets.k8s.api import Api
from targets.k8s.instances import main
from targets.k8s.names import Json

_END: Final = object()


@dataclass(frozen=True, slots=True)
class Member:
    """A pod whose log is read: that of the container with the node's name."""

    pod: str
    node: str
    index: int


def has_begun(pod: Json) -> bool:
    """Whether its program has run, so that there is a log."""
    status = main(pod)
    return bool(status) and ("waiting" not in status["state"] or bool(status["restartCount"]))


def lines(
    api: Api, namespace: str, members: list[Member], *, follow: bool, since: str | None, tail: int | None
) -> Iterator[LogLine]:
    streams = [_lines(api, namespace, one, follow=follow, since=since, tail=tail) for one in members]
    if follow and len(streams) != 1:
        return as_they_come(streams)
    return iter(heapq.merge(*streams, key=lambda line: line.time))


def _lines(
    api: Api, namespace: str, member: Member, *, follow: bool, since: str | None, tail: int | None
) -> Iterator[LogLine]:
    rest = b""
    for piece in api.logs(namespace, member.pod, member.node, follow=follow, since=since, tail=tail):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (_line(one, member) for one in whole)
    if rest:
        yield _line(rest, member)


def _line(raw: bytes, member: Member) -> LogLine:
    time, _, text = raw.decode(errors="replace").partition(" ")
    return LogLine(time, member.node, member.index, text.removesuffix("\r"))


def as_they_come(streams: list[Iterator[LogLine]]) -> Iterator[LogLine]:
    """One thread for each container; an error of one ends all."""
    got: queue.Queue[object] = queue.Queue(maxsize=1000)
    for stream in streams:
        threading.Thread(target=_pass_on, args=(stream, got), daemon=True, name="logs").start()
    running = len(streams)
    while running:
        one = got.get()
        if one is _END:
            running -= 1
        elif isinstance(one, Exception):
            raise one
        elif isinstance(one, LogLine):
            yield one


def _pass_on(stream: Iterator[LogLine], into: queue.Queue[object]) -> None:
    try:
        for line in stream:
            into.put(line)
    except Exception as error:  # raised where the lines are read: nobody must wait for a thread that has ended
        into.put(error)
    finally:
        into.put(_END)
