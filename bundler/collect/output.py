"""Where a build writes, and how that stays out of what it reads.

A bundle that lies in what the next one packs would grow with every build, and no build would ever find its sources
unchanged; one that is written over its sources destroys them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bundler.collect.paths import SourceTree
from bundler.edges.files import open_regular
from bundler.errors import SourceError, UsageError

if TYPE_CHECKING:
    from bundler.collect.union import Union

SIGNATURES = (".sig", ".sigstore.json")


@dataclass(frozen=True, slots=True)
class Output:
    """`path` is the bundle's, links resolved; `graph` the name that bundles of the graph begin with."""

    path: Path
    graph: str

    @classmethod
    def at(cls, path: Path, graph: str) -> Self:
        return cls(Path(os.path.realpath(path)), graph)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a build may write or remove."""
        return (self.path, *(self.path.with_name(self.path.name + ending) for ending in SIGNATURES))

    def left_out(self, directory: Path, name: str) -> bool:
        """Whether builds made this file: the bundle, its signatures, an unfinished one, other versions beside it."""
        return directory == self.path.parent and any(
            name == before if after is None else name.startswith(before) and name.endswith(after)
            for before, after in self._names()
        )

    def ignored(self, context: Path) -> tuple[str, ...]:
        """The same as lines of a .dockerignore; none where the output lies elsewhere."""
        if not self.path.is_relative_to(context):
            return ()
        inside = self.path.parent.relative_to(context).as_posix()
        prefix = "/" if inside == "." else f"/{_literal(inside)}/"
        return tuple(
            prefix + _literal(before) + ("" if after is None else f"*{_literal(after)}")
            for before, after in self._names()
        )

    def _names(self) -> Iterator[tuple[str, str | None]]:
        """Whole names, or how they begin and end."""
        yield from ((file.name, None) for file in self.files)
        yield f".{self.path.name}.", ".part"
        for ending in ("", *SIGNATURES):
            yield f"{self.graph}-", f".bundle.tar{ending}"
        yield f".{self.graph}-", ".part"


def require_free(output: Output, shown: Path, union: Union, tree: SourceTree) -> None:
    """Raise UsageError where the build would write over something that is not a bundle, or into its own sources.
    `shown` is the output as the user calls it."""
    elsewhere = "name another place with -o FILE"
    for what, text in _packed(union, tree):
        try:
            real = tree.locate(text, what)
        except SourceError:
            continue  # told when it is read
        if real.is_dir() and output.path.is_relative_to(real):
            raise UsageError(
                f"{shown} lies in {text}, which is packed as {what}: the next bundle would hold this one",
                hint=elsewhere,
            )
        if real in output.files:
            raise UsageError(f"{shown}: writing it would destroy {text}, which is packed as {what}", hint=elsewhere)
    if output.path.exists() and not _is_bundle(output.path):
        raise UsageError(f"{shown} is there and is no bundle", hint=f"remove it, or {elsewhere}")


def _packed(union: Union, tree: SourceTree) -> Iterator[tuple[str, str]]:
    """What is packed as it lies on disk: (node, path)."""
    from bundler.collect import ondisk

    for model in union.models:
        yield f"model {model.name}", model.source
    for config in union.configs:
        if path := config.file if config.file is not None else config.dir:
            yield f"config {config.name}", path
    for source in union.images:
        if (place := ondisk.transport(source.base.image or "")) is not None:
            yield f"the image of {source.first}", ondisk.split_tag(tree, place[1])[0]


def _is_bundle(path: Path) -> bool:
    """Whether the file begins as every bundle does."""
    from bundler.layout.archive import FIRST_HEADER

    fd = open_regular(path, as_error=UsageError)
    try:
        return os.pread(fd, len(FIRST_HEADER), 0) == FIRST_HEADER
    except OSError as error:
        raise UsageError(f"{path} is there and cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)


def _literal(text: str) -> str:
    """As a .dockerignore takes it: * ? [ and \\ mean themselves after a backslash."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)
