"""The Docker Engine's API, through the `docker` package, imported only when an engine is asked for.

`connect` is the one way to an engine, for building and for the docker and compose targets alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.errors import BundleError, TargetError

if TYPE_CHECKING:
    from docker import APIClient

OLDEST_API = (1, 41)  # Docker Engine 20.10


def connect(*, timeout_s: float = 120.0) -> APIClient:
    """A client of the engine that DOCKER_HOST, the current docker context or the default socket names.

    Raises TargetError where none answers, or where it is older than Docker Engine 20.10.
    """
    import docker
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    try:
        client = docker.APIClient(**kwargs_from_env(), version="auto", timeout=int(timeout_s))
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        raise TargetError(
            f"no Docker engine answers at {where}: {reason(error)}",
            hint="start Docker, or set DOCKER_HOST; on a bare Debian machine: scripts/engine up",
        ) from error
    version = tuple(int(part) for part in client.api_version.split("."))
    if version < OLDEST_API:
        raise TargetError(f"the Docker engine speaks API {client.api_version}; Docker Engine 20.10 or newer is needed")
    return client


def reason(error: Exception) -> str:
    """The engine's own words, in one line."""
    explanation = getattr(error, "explanation", None)
    return " ".join(str(explanation or error).split())


@contextmanager
def engine_errors(doing: str, as_error: type[BundleError] = TargetError) -> Iterator[None]:
    """Turn any error of the docker package or its HTTP client into `as_error`: "DOING: reason"."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise as_error(f"{doing}: {reason(error)}") from error
