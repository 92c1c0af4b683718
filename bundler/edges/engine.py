"""The Docker Engine's API, through the `docker` package, imported only when an engine is asked for.

`connect` is the one way to an engine, for building and for the docker and compose targets alike.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.edges.loading import ONE_THREAD
from bundler.errors import BundleError, TargetError

if TYPE_CHECKING:
    from docker import APIClient

_START = "start Docker, or set DOCKER_HOST; on a bare Debian machine: scripts/engine up"
_SSH = "ssh:// needs the paramiko package beside bundle and the host in known_hosts; or forward the socket: ssh -L"
OLDEST_API = (1, 41)  # Docker Engine 20.10


def context_name(given: str | None = None) -> str | None:
    """The docker context to use, found as the `docker` program finds it: the one given, none where DOCKER_HOST is set,
    DOCKER_CONTEXT, the current one. None for the default, which is DOCKER_HOST or the usual socket."""
    if given is None and os.environ.get("DOCKER_HOST"):
        return None
    name = given or os.environ.get("DOCKER_CONTEXT") or docker_config().get("currentContext")
    return None if name in (None, "", "default") else str(name)


def connect(context: str | None = None, *, timeout_s: float = 120.0) -> APIClient:
    """A client of the engine that `context_name(context)` leads to.

    Raises TargetError where none answers, or where it is older than Docker Engine 20.10.
    """
    with ONE_THREAD:
        import docker
        from docker.errors import DockerException

    address = _address(context_name(context))
    try:
        client = docker.APIClient(**address, version="auto", timeout=int(timeout_s))
    except DockerException as error:
        where = address.get("base_url") or "unix:///var/run/docker.sock"
        raise TargetError(
            f"no Docker engine answers at {where}: {_cause(error) or reason(error)}",
            hint=_SSH if where.startswith("ssh://") else _START,
        ) from error
    version = tuple(int(part) for part in client.api_version.split("."))
    if version < OLDEST_API:
        raise TargetError(f"the Docker engine speaks API {client.api_version}; Docker Engine 20.10 or newer is needed")
    return client


def _address(context: str | None) -> dict[str, Any]:
    """Arguments for the client. The `docker` package's own reader of contexts looks in the current directory where
    there is no config.json."""
    from docker.tls import TLSConfig
    from docker.utils import kwargs_from_env

    if context is None:
        return dict(kwargs_from_env())
    place = hashlib.sha256(context.encode()).hexdigest()
    end = _read_json(_config_dir() / "contexts/meta" / place / "meta.json").get("Endpoints", {}).get("docker", {})
    if not end.get("Host"):
        raise TargetError(f"there is no docker context {context!r}", hint="docker context ls")
    files = {path.name: str(path) for path in (_config_dir() / "contexts/tls" / place / "docker").glob("*.pem")}
    if not files and not end.get("SkipTLSVerify"):
        return {"base_url": end["Host"]}
    pair = (files["cert.pem"], files["key.pem"]) if {"cert.pem", "key.pem"} <= files.keys() else None
    verified = not end.get("SkipTLSVerify")
    return {"base_url": end["Host"], "tls": TLSConfig(client_cert=pair, ca_cert=files.get("ca.pem"), verify=verified)}


def docker_config() -> dict[str, Any]:
    """What `docker` keeps in its config.json; empty where it keeps nothing."""
    return _read_json(_config_dir() / "config.json")


def _config_dir() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _read_json(path: Path) -> dict[str, Any]:
    """Empty where there is no such file, or nothing that could be meant."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _cause(error: BaseException | None) -> str | None:
    """What the system said, where an error came of that: `No such file or directory`."""
    if error is None:
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror
    inner = [one for one in error.args if isinstance(one, BaseException)]
    return next(filter(None, map(_cause, [*inner, error.__cause__ or error.__context__])), None)


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
