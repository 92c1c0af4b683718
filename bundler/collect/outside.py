"""The Docker engine and the registries, opened when first asked: most rebuilds need one of them or neither."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bundler.collect.mirrors import Mirrors
from bundler.collect.reference import Reference
from bundler.errors import SourceError, TargetError

if TYPE_CHECKING:
    from bundler.collect.registry import Repository
    from bundler.edges.http import HttpClient
    from bundler.edges.images import Engine


class Outside:
    """`stack` closes what was opened; `mirrors` are asked in place of their registries."""

    def __init__(self, stack: ExitStack, mirrors: Mirrors | None = None) -> None:
        self._stack = stack
        self.mirrors = mirrors or Mirrors()
        self._engine: Engine | None = None
        self._no_engine: TargetError | None = None
        self._http: HttpClient | None = None

    def engine(self) -> Engine | None:
        """None where none answers."""
        if self._engine is None and self._no_engine is None:
            from bundler.edges.images import Engine

            try:
                self._engine = Engine.connect()
                self._stack.callback(self._engine.close)
            except TargetError as error:
                self._no_engine = error
        return self._engine

    def required_engine(self, what: str) -> Engine:
        engine = self.engine()
        if engine is None:
            reason = self._no_engine
            raise SourceError(f"{what}: {reason}", hint=reason.hint if reason else None)
        return engine

    def http(self) -> HttpClient:
        if self._http is None:
            from bundler.edges.http import HttpClient

            self._http = self._stack.enter_context(HttpClient())
        return self._http

    def repository(self, reference: Reference) -> Repository:
        """Where an image's registry, or its mirror, has it."""
        from bundler.collect.registry import Repository

        return Repository(self.http(), reference, self.mirrors.of(reference))
