"""The targets, as a test gets at them: one class each, and nothing of a target anywhere else in the suite but the
answers beside the rows."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..e2e.conftest import docker
from .command import Command


class Place(ABC):
    """`name` is the target's. `options` go with every verb that has a target. `usual` are notes that say nothing about
    a row (see `row.alike`). `own_environment` are variables that are there whatever the graph says."""

    name: str
    mark: pytest.MarkDecorator
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    own_environment: frozenset[str] = frozenset({"HOME", "HOSTNAME", "PATH"})

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks to use the target, and how to get it."""

    @abstractmethod
    def has_gpus(self) -> bool:
        """Whether rows about machines without GPUs say nothing here."""

    @abstractmethod
    @contextmanager
    def door(self, bundle: Command, app: str) -> Iterator[str]:
        """The address of the app's first front door, while it is open."""

    @abstractmethod
    def traces(self, app: str) -> set[str]:
        """All that is there of the app."""

    @abstractmethod
    def image(self, app: str, node: str) -> str:
        """The digest by which the target runs the node's image: of its config or its manifest."""


class _Engine(Place):
    """What docker and compose have in common."""

    mark = pytest.mark.engine

    def missing(self) -> str | None:
        try:
            answers = subprocess.run(["docker", "info"], capture_output=True).returncode == 0
        except FileNotFoundError:
            answers = False
        return None if answers else "no Docker engine answers: run scripts/engine up"

    def has_gpus(self) -> bool:
        return "nvidia" in docker("info", "--format", "{{json .Runtimes}}")

    @contextmanager
    def door(self, bundle: Command, app: str) -> Iterator[str]:
        yield bundle("open", app, "--target", self.name, *self.options, "--print").out.split()[-1]

    def traces(self, app: str) -> set[str]:
        named = {
            *docker("ps", "-a", "--format", "{{.Names}}").split(),
            *docker("network", "ls", "--format", "{{.Name}}").split(),
            *docker("volume", "ls", "--format", "{{.Name}}").split(),
        }
        return {one for one in named if app in one}

    def image(self, app: str, node: str) -> str:
        found = docker(
            *("ps", "-q", "--no-trunc", "--filter", f"label=dev.graphbundle.app={app}"),
            *("--filter", f"label=dev.graphbundle.resource=service/{node}"),
        )
        return docker("inspect", "--format", "{{.Image}}", found.split()[0]).strip()


class Docker(_Engine):
    name = "docker"


class Compose(_Engine):
    name = "compose"


PLACES: tuple[Place, ...] = (Docker(), Compose())
