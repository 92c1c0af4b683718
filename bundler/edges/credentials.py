"""Users and passwords for registries, as docker keeps them: in its config.json, or with a program that this names."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from bundler.edges import process
from bundler.edges.engine import docker_config
from bundler.errors import TargetError

HELPER_S = 30.0

Pair = tuple[str, str]


def pairs(config: object, host: str) -> dict[str, Pair]:
    """What config.json itself has for a registry, by the keys that it is kept under: `HOST`, `HOST/PATH`,
    `https://HOST/v1/`. Raises ValueError where it is none of docker's."""
    entries = _mapping(_mapping(config, "it").get("auths") or {}, "auths")
    named = {str(key): _mapping(entry, f"auths of {key}") for key, entry in entries.items() if _host(str(key)) == host}
    found = {key: _pair(entry.get("auth")) for key, entry in named.items()}
    return {key: found_pair for key, found_pair in sorted(found.items()) if found_pair is not None}


def keeper(config: object, host: str) -> str | None:
    """Of docker-credential-NAME, where that has them instead. Raises ValueError as `pairs`."""
    told = _mapping(config, "it")
    name = _mapping(told.get("credHelpers") or {}, "credHelpers").get(host) or told.get("credsStore")
    if name is not None and not isinstance(name, str):
        raise ValueError("the name of a credential helper is no text")
    return name or None


def credentials(host: str) -> Pair | None:
    """For the registry at HOST[:PORT], as `docker push` has them; None where there are none."""
    config = docker_config()
    try:
        helper, own = keeper(config, host), pairs(config, host)
    except ValueError as error:
        raise TargetError(
            f"docker's config.json cannot be understood: {error}", hint=f"docker login {host} in an empty DOCKER_CONFIG"
        ) from error
    if helper is not None and (kept := _kept(helper, host)) is not None:
        return kept
    return own.get(host) or next(iter(own.values()), None)


def basic_authorization(pair: Pair) -> str:
    """The header of that name."""
    return "Basic " + base64.b64encode(":".join(pair).encode()).decode()


def _kept(helper: str, host: str) -> Pair | None:
    name = f"docker-credential-{helper}"
    program = process.find(name, hint="docker's config.json names it as the keeper of credentials")
    done = process.run([program, "get"], stdin=host.encode(), timeout_s=HELPER_S)
    if done.returncode:
        return None
    try:
        told = _mapping(json.loads(done.stdout), "its answer")
        return str(told["Username"]), str(told["Secret"])
    except (ValueError, KeyError) as error:
        raise TargetError(f"{name} does not answer with a user and a password for {host}") from error


def _host(key: str) -> str:
    return key.rpartition("://")[2].partition("/")[0]


def _pair(auth: object) -> Pair | None:
    if not isinstance(auth, str):
        return None
    try:
        user, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if user and password else None


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"{what} is no object")
