"""A row's app on a target: deployed, asked, changed."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..e2e.conftest import Done
from .command import Command
from .places import Place
from .row import Answer


@dataclass(frozen=True)
class Reply:
    status: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass
class Running:
    """`file` is the bundle, `answer` what the target is said to answer, `notes` what its plan said."""

    bundle: Command
    place: Place
    app: str
    file: Path
    answer: Answer
    site: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    _door: ExitStack = field(default_factory=ExitStack)
    _url: str | None = None

    # verbs

    def of_file(self, verb: str, *arguments: str, status: int = 0) -> Done:
        """plan, deploy and render."""
        to = ("--target", self.place.name, "--app", self.app, *self.place.options)
        return self.bundle(verb, self.file, *to, *self.site, *arguments, status=status)

    def of_app(self, verb: str, *arguments: str, status: int = 0) -> Done:
        """status, run, logs and remove."""
        target = ("--target", self.place.name, *self.place.options)
        return self.bundle(verb, self.app, *arguments, *target, status=status)

    def deploy(self, *arguments: str) -> Done:
        self._shut()
        return self.of_file("deploy", "--yes", *arguments)

    def change(self, word: str) -> None:
        """Gives the graph's value `word` another answer."""
        self.deploy("--set", f"values.word={word}")

    def removed_and_deployed(self) -> None:
        """Taken off with its data left there, and put back."""
        self.of_app("remove")
        self.deploy()

    def remove(self) -> None:
        """Nothing is left of it."""
        self._shut()
        self.of_app("remove", "--volumes", "--yes")
        assert self.place.traces(self.app) == set()

    def instances(self, resource: str, status: int = 0) -> list[dict[str, Any]]:
        """What `bundle status` says of a service or job."""
        said = self.of_app("status", "--json", status=status).json()
        return [one for one in said["instances"] if one["resource"] == resource]

    @contextmanager
    def beside(self) -> Iterator[Running]:
        """The same bundle once more, as another app."""
        other = replace(self, app=f"{self.app}-2", _door=ExitStack(), _url=None)
        try:
            other.deploy()
            yield other
        finally:
            other.remove()

    # the front door

    @property
    def url(self) -> str:
        if self._url is None:
            self._url = self._door.enter_context(self.place.door(self.bundle, self.app))
        return self._url

    def _shut(self) -> None:
        self._url = None
        self._door.close()

    def get(self, page: str) -> Reply:
        """A page of the service behind the front door; waits a little where the door is just opening."""
        ends = time.monotonic() + 20
        while True:
            try:
                return self._once(page)
            except OSError:
                if time.monotonic() > ends:
                    raise
                self._shut()
                time.sleep(0.2)

    def _once(self, page: str) -> Reply:
        try:
            with urllib.request.urlopen(f"{self.url}/{page}", timeout=15) as reply:
                return Reply(reply.status, reply.read().decode())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read().decode())

    def text(self, page: str) -> str:
        """The page, which must be there."""
        reply = self.get(page)
        assert reply.status == 200, f"{page}: {reply}"
        return reply.text

    def provoke(self, page: str) -> None:
        """Asks for what ends the one who is asked."""
        self.get("healthz")
        try:
            reply = self._once(page)
        except OSError:
            return
        # a proxy between may answer in its stead
        assert reply.status != 200, f"{page} was answered: {reply}"

    def environment(self, page: str = "env") -> dict[str, str]:
        return dict(line.partition("=")[::2] for line in self.text(page).splitlines())

    def arguments(self, page: str = "file?/proc/self/cmdline") -> list[str]:
        return self.text(page).removesuffix("\0").split("\0")

    def status_field(self, name: str) -> str:
        """A line of /proc/self/status."""
        lines = self.text("file?/proc/self/status").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def first_there(self, *paths: str) -> str | None:
        """The text of the first of these files that is there."""
        replies = (self.get(f"file?{path}") for path in paths)
        return next((reply.text for reply in replies if reply.status == 200), None)

    def reborn(self, before: str) -> bool:
        """Whether the service behind the door is another process by now."""
        return self.get("healthz").status == 200 and self.text("born") != before


def eventually(holds: Callable[[], object], within_s: float = 20) -> None:
    """Waits until `holds()`; its last answer or error is what the test fails with."""
    ends = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
            failed: BaseException = AssertionError(f"not within {within_s:g} s")
        except (AssertionError, OSError) as error:
            failed = error
        if time.monotonic() > ends:
            raise failed
        time.sleep(0.25)
