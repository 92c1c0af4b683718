"""Names of a graph for names of another tool: DNS labels, one name space."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count

from bundler.graphfile import forms


def label(text: str) -> str:
    """The text as a DNS label: `DB_PASSWORD` is db-password."""
    made = re.sub(r"[^a-z0-9]+", "-", forms.plain(text)).strip("-")
    made = made if re.match("[a-z]", made) else f"n-{made}".strip("-")
    return made[:63].strip("-")


def renamed(name: str) -> str:
    """What is told of something that has another name in the graph."""
    return f"is {name} here: names are DNS labels, each of one node"


class Names:
    """Names that are taken; a second node of a name gets another of its candidates, or a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {"localhost", *taken}

    def take(self, *candidates: str) -> str:
        made = [label(each) for each in candidates]
        stem = made[-1][:58].rstrip("-")
        name = next(each for each in chain(made, (f"{stem}-{n}" for n in count(2))) if each not in self._taken)
        assert re.fullmatch(forms.LABEL, name)  # noqa: S101 - of `label`
        self._taken.add(name)
        return name
