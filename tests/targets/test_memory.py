"""The in-memory adapter keeps the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from images import Blobs, image

from targets import tar
from targets.conformance import Conformance
from targets.memory import MemoryTarget


class Memory:
    """Things are foreign by name here."""

    app = "sample"
    port = 8080

    def __init__(self) -> None:
        self.target = MemoryTarget()
        self.blobs = Blobs()
        self.image = image(self.blobs, "app", [[tar.file("server", b"program")]], {})
        self.config = self.blobs.add("text/plain", b"a: 1\n")

    def stop(self, app: str, service: str) -> None:
        self.target.stop(app, service)

    def plant(self, app: str) -> str:
        self.target.foreign.add("volume/data")
        return "volume/data"

    def planted(self, app: str) -> bool:
        return self.target.foreign == {"volume/data"}

    def uproot(self, app: str) -> None:
        self.target.foreign.clear()

    def shown(self, app: str) -> str:
        return repr(self.target.observe(app))

    def remains(self, app: str) -> Sequence[str]:
        observed = self.target.observe(app)
        return [*(one.name for one in observed.instances), *(thing.name for thing in observed.things)]


class TestMemory(Conformance):
    @pytest.fixture
    def subject(self) -> Memory:
        return Memory()
