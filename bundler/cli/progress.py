"""Progress on stderr: what is going on, bytes, rate. Drawn on a terminal; elsewhere a line now and then, of what takes
long."""

from __future__ import annotations

import shutil
import sys
import threading
import time

from bundler.cli import output
from bundler.cli.report import named
from bundler.model.plan import Action, Step
from bundler.model.release import Release

_EVERY_S = 0.1
_PLAIN_EVERY_S = 30.0  # where nothing can be drawn: a log shall not be silent, nor full
_CLEAR = "\r\x1b[2K"
_DOING = {
    Action.LOAD: "loaded",
    Action.CREATE: "created",
    Action.REPLACE: "replaced",
    Action.START: "started",
    Action.RUN: "started",
    Action.STORE: "stored",
    Action.REMOVE: "removed",
}


class Line:
    """One line at the bottom of the terminal that is drawn over and over; lines above it stay."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._drawn = output.drawable(sys.stderr)
        self._lock = threading.Lock()
        self._drawn_at = time.monotonic()
        self._dirty = False

    def draw(self, text: str, *, now: bool = False) -> None:
        with self._lock:
            ago = time.monotonic() - self._drawn_at
            if self._drawn and (now or ago >= _EVERY_S):
                width = shutil.get_terminal_size().columns - 1
                sys.stderr.write(_CLEAR + output.clean(text)[:width])
                sys.stderr.flush()
                self._dirty = True
            elif not self._drawn and ago >= _PLAIN_EVERY_S:
                output.note(text)
            else:
                return
            self._drawn_at = time.monotonic()

    def keep(self, text: str) -> None:
        with self._lock:
            if self._shown:
                sys.stderr.write((_CLEAR if self._dirty else "") + output.clean(text) + "\n")
                sys.stderr.flush()
                self._dirty = False

    def clear(self) -> None:
        with self._lock:
            if self._dirty:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
                self._dirty = False


class Phases:
    """Progress of a build or a verification: phases with a known or unknown number of bytes."""

    def __init__(self) -> None:
        self._line = Line()
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._since = time.monotonic()

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        self._end()
        self._name, self._total, self._done, self._since = name, total_bytes, 0, time.monotonic()
        self._line.draw(name, now=True)

    def advance(self, size_bytes: int) -> None:
        self._done += size_bytes
        seconds = max(time.monotonic() - self._since, 1e-6)
        of = f" of {output.size(self._total)}" if self._total else ""
        self._line.draw(f"{self._name}: {output.size(self._done)}{of}, {output.size(self._done / seconds)}/s")

    def line(self, text: str) -> None:
        self._line.draw(f"{self._name}: {text}")

    def close(self) -> None:
        self._end()
        self._line.clear()

    def _end(self) -> None:
        if self._name and self._done:
            seconds = max(time.monotonic() - self._since, 1e-6)
            self._line.keep(f"{self._name}: {output.size(self._done)} in {seconds:.1f} s")
        self._name, self._done = "", 0


class Steps:
    """Progress of a deploy or a removal: one line for each step that is done."""

    def __init__(self, release: Release | None = None) -> None:
        self._release = release
        self._line = Line()
        self._doing: dict[str, str] = {}
        self._moved: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def started(self, step: Step) -> None:
        self._since[step.id] = time.monotonic()
        self._doing[step.id] = self._what(step)
        self.working(now=True)

    def moved(self, step: Step, size_bytes: int) -> None:
        done = self._moved[step.id] = self._moved.get(step.id, 0) + size_bytes
        seconds = max(time.monotonic() - self._since[step.id], 1e-6)
        of = f" of {output.size(step.moves_bytes)}" if step.moves_bytes else ""
        self._doing[step.id] = f"{self._what(step)}: {output.size(done)}{of}, {output.size(done / seconds)}/s"
        self.working()

    def working(self, *, now: bool = False) -> None:
        self._line.draw(", ".join(self._doing.values()), now=now)

    def finished(self, step: Step) -> None:
        del self._doing[step.id]
        seconds = time.monotonic() - self._since[step.id]
        moved = self._moved.get(step.id)
        self._line.keep(
            f"{_DOING[step.action]} {named(step.resource, self._release)}"
            + (f": {output.size(moved)} in {seconds:.1f} s" if moved else "")
        )

    def _what(self, step: Step) -> str:
        return f"{step.action} {named(step.resource, self._release)}"

    def waiting(self, resources: tuple[str, ...]) -> None:
        self._line.draw("waiting for " + (", ".join(resources) or "the first look at what runs"))

    def close(self) -> None:
        self._line.clear()
