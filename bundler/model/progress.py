"""What a long operation tells whoever watches it. The core says what happens; the command line decides how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher. Calls come from one thread, in order."""

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """A new part of the work begins ("weights minilm"); `total_bytes` where it is known beforehand."""

    def advance(self, size_bytes: int) -> None:
        """So many more bytes of the current phase are done."""

    def line(self, text: str) -> None:
        """Something worth a line: a decision made, or a line of another program's output."""


class Silent:
    """Watches nothing."""

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        return

    def advance(self, size_bytes: int) -> None:
        return

    def line(self, text: str) -> None:
        return
