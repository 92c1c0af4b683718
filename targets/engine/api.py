"""The Docker Engine's HTTP API as the two adapters use it: one method, one request.

The transport (unix socket, named pipe, ssh, TLS) is the `docker` package's; requests are written out here
because its models do not know image mounts and volume subpaths. Every error is a TargetError.
API versions: https://docs.docker.com/reference/api/engine/version-history/
"""

from __future__ import annotations

import base64
import json
import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from bundler.edges.engine import connect, engine_errors
from bundler.errors import TargetError
from bundler.model.times import unix_ns

if TYPE_CHECKING:
    from requests import Response

Json = dict[str, Any]

NO_SUCH = 404
CONFLICT = 409
FAILED = 500
DIRECTORY = 1 << 31  # os.ModeDir of Go's FileMode


class Client(Protocol):
    """What is used of the client that the edge gives: a session of the `requests` package, and its address."""

    base_url: str
    timeout: int

    @property
    def api_version(self) -> str: ...

    @property
    def request(self) -> Callable[..., Response]: ...


class NotThere(TargetError):
    """The engine knows no thing of that name."""


class Conflict(TargetError):
    """The name is taken, or something else is being done to the thing."""


class Engine:
    """One engine. Safe to use from several threads: each gets its own connection."""

    def __init__(self, context: str | None = None) -> None:
        self.context = context  # of docker; None for the one that is current
        self._local = threading.local()

    @property
    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = connect(self.context)
        return client

    # requests

    def _call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        data: Iterator[bytes] | bytes | None = None,
        stream: bool = False,
        wait: bool = False,
    ) -> Response:
        """`wait`: the engine may take as long as it needs (loading, stopping)."""
        client = self._client
        url = f"{client.base_url}/v{client.api_version}{path}"
        timeout = None if wait or stream else client.timeout
        for last in (method != "GET" or stream, True):
            with engine_errors(doing):
                response: Response = client.request(
                    method,
                    url,
                    params={key: _parameter(value) for key, value in (params or {}).items()},
                    json=body,
                    data=data,
                    stream=stream,
                    timeout=timeout,
                    headers={"Content-Type": "application/x-tar"} if data is not None else None,
                )
            if last or response.status_code < FAILED:  # an engine fails to show what is just going
                break
        if response.status_code >= 400:
            kind = {NO_SUCH: NotThere, CONFLICT: Conflict}.get(response.status_code, TargetError)
            raise kind(f"{doing}: {_message(response)}")
        return response

    @cached_property
    def api_version(self) -> tuple[int, int]:
        major, minor = self._client.api_version.split(".")
        return int(major), int(minor)

    @cached_property
    def info(self) -> Json:
        """Facts of the engine that do not change while a command runs."""
        info: Json = self._call("GET", "/info", "asking the engine about itself").json()
        return info

    @property
    def local(self) -> bool:
        """Whether the engine runs on this machine, as far as its address tells."""
        return self._client.base_url in ("http+docker://localhost", "http+docker://localnpipe")  # not http+docker://ssh

    @property
    def here(self) -> bool:
        """Whether the engine is sure to have this machine's addresses: its socket may lead elsewhere, or into a virtual
        machine, or this may be a container of its own."""
        return self.local and self.info.get("Name") == platform.node()

    # images

    @cached_property
    def containerd_store(self) -> bool:
        """Whether containerd keeps the images. Its `Id` of one is the manifest's digest, not the config's."""
        return any("io.containerd.snapshotter" in str(value) for _, value in self.info.get("DriverStatus") or [])

    def image(self, reference: str) -> Json | None:
        """None where there is none, or where some of its content is missing."""
        path, params = f"/images/{_path(reference)}/json", self._with_manifests((1, 48))
        try:
            image: Json = self._call("GET", path, f"looking for {reference}", params=params).json()
        except NotThere:
            return None
        return image if _complete(image) else None

    def images(self, pattern: str) -> list[Json]:
        """Those with a name that fits, but for images of which some content is missing."""
        params = {"filters": {"reference": [pattern]}, **self._with_manifests((1, 47))}
        listed: list[Json] = self._call("GET", "/images/json", "listing images", params=params).json()
        return [image for image in listed if _complete(image)]

    def _with_manifests(self, since: tuple[int, int]) -> dict[str, object]:
        return {"manifests": True} if self.containerd_store and self.api_version >= since else {}

    def load(self, archive: Iterator[bytes]) -> None:
        """`docker load`; the archive is streamed."""
        response = self._call(
            "POST", "/images/load", "loading images", params={"quiet": True}, data=archive, stream=True, wait=True
        )
        with engine_errors("loading images"):
            for line in response.iter_lines():
                said = json.loads(line) if line.strip() else {}
                if "error" in said:
                    raise TargetError(f"loading images: {said['error']}")

    def tag(self, image: str, reference: str) -> None:
        repository, _, tag = reference.rpartition(":")
        self._call(
            "POST", f"/images/{_path(image)}/tag", f"naming {reference}", params={"repo": repository, "tag": tag}
        )

    def remove_image(self, reference: str) -> None:
        with suppress(NotThere):
            self._call("DELETE", f"/images/{_path(reference)}", f"removing image {reference}", wait=True)

    # networks

    def networks(self, name: str) -> list[Json]:
        """Those whose name contains `name`."""
        listed: list[Json] = self._call(
            "GET", "/networks", "listing networks", params={"filters": {"name": [name]}}
        ).json()
        return listed

    def network(self, name: str) -> Json | None:
        return next((network for network in self.networks(name) if network["Name"] == name), None)

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        body = {"Name": name, "Driver": "bridge", "Labels": dict(labels), "CheckDuplicate": True}
        self._call("POST", "/networks/create", f"creating network {name}", body=body)

    def remove_network(self, name: str) -> None:
        with suppress(NotThere):
            self._call("DELETE", f"/networks/{_path(name)}", f"removing network {name}")

    # volumes

    def volumes(self) -> list[Json]:
        listed: Json = self._call("GET", "/volumes", "listing volumes").json()
        return listed.get("Volumes") or []

    def volume(self, name: str) -> Json | None:
        try:
            volume: Json = self._call("GET", f"/volumes/{_path(name)}", f"looking for volume {name}").json()
        except NotThere:
            return None
        return volume

    def create_volume(self, name: str, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels that the volume of this name has: others than `labels` where it was there before."""
        body = {"Name": name, "Driver": "local", "Labels": dict(labels)}
        volume: Json = self._call("POST", "/volumes/create", f"creating volume {name}", body=body).json()
        return volume.get("Labels") or {}

    def remove_volume(self, name: str) -> None:
        with suppress(NotThere):
            self._call("DELETE", f"/volumes/{_path(name)}", f"removing volume {name}")

    # containers

    def containers(self) -> list[Json]:
        listed: list[Json] = self._call("GET", "/containers/json", "listing containers", params={"all": True}).json()
        return listed

    def container(self, name: str) -> Json | None:
        try:
            found: Json = self._call("GET", f"/containers/{_path(name)}/json", f"looking at container {name}").json()
        except NotThere:
            return None
        return found

    def create(self, name: str, body: Mapping[str, object]) -> str:
        """Creates a container and gives its id."""
        doing = f"creating container {name}"
        try:
            response = self._call("POST", "/containers/create", doing, params={"name": name}, body=body, wait=True)
        except Conflict as error:
            hint = "where another deploy is under way, wait until it has ended; then run the same command again"
            raise Conflict(f"{doing}: the name was taken meanwhile", hint=hint) from error
        return str(response.json()["Id"])

    def start(self, name: str) -> None:
        self._call("POST", f"/containers/{_path(name)}/start", f"starting container {name}", wait=True)

    def unpause(self, name: str) -> None:
        self._call("POST", f"/containers/{_path(name)}/unpause", f"resuming container {name}")

    def stop(self, name: str) -> None:
        """Ends the container in its own way: its stop signal, and its grace period at most."""
        with suppress(NotThere):
            self._call("POST", f"/containers/{_path(name)}/stop", f"stopping container {name}", wait=True)

    def rename(self, name: str, to: str) -> None:
        self._call("POST", f"/containers/{_path(name)}/rename", f"naming container {to}", params={"name": to})

    def remove(self, name: str) -> None:
        """Removes a container, running or not, and its anonymous volumes; somebody else may be at it already."""
        with suppress(NotThere, Conflict):
            self._call(
                "DELETE",
                f"/containers/{_path(name)}",
                f"removing container {name}",
                params={"force": True, "v": True},
                wait=True,
            )

    def logs(self, name: str, *, follow: bool, since: str | None, tail: int | None) -> Iterator[bytes]:
        """Raw frames of the log, with timestamps: an 8-byte header (stream, 3 zeros, length), then text. `since` is
        an RFC 3339 time."""
        response = self._call(
            "GET",
            f"/containers/{_path(name)}/logs",
            f"reading the log of {name}",
            params={
                "stdout": True,
                "stderr": True,
                "timestamps": True,
                "follow": follow,
                "since": _unix_seconds(since) if since else "0",
                "tail": "all" if tail is None else tail,
            },
            stream=True,
        )
        with engine_errors(f"reading the log of {name}"), response:
            yield from response.iter_content(chunk_size=None)

    # files in containers, running or not

    def put(self, container: str, path: str, archive: Iterator[bytes] | bytes) -> None:
        """Unpacks a tar at a directory of the container, with the owners the tar names."""
        self._call(
            "PUT",
            f"/containers/{_path(container)}/archive",
            f"writing files to {path}",
            params={"path": path},
            data=archive,
            wait=True,
        )

    def get(self, container: str, path: str) -> Iterator[bytes]:
        """A tar of a file or directory; its names begin with the last part of `path`."""
        doing = f"reading files at {path}"
        response = self._call(
            "GET", f"/containers/{_path(container)}/archive", doing, params={"path": path}, stream=True
        )
        with engine_errors(doing), response:
            yield from response.iter_content(chunk_size=1 << 20)

    def directory_mode(self, container: str, path: str) -> int | None:
        """The permission bits of a directory; None where there is none."""
        try:
            response = self._call(
                "HEAD", f"/containers/{_path(container)}/archive", f"looking at {path}", params={"path": path}
            )
        except NotThere:
            return None
        stat = json.loads(base64.b64decode(response.headers["X-Docker-Container-Path-Stat"]))
        return int(stat["mode"]) & 0o777 if int(stat["mode"]) & DIRECTORY else None


def _complete(image: Mapping[str, Any]) -> bool:
    """The containerd store takes in an image without some of its layers, and says so only here."""
    manifests = image.get("Manifests")
    return not manifests or any(one.get("Kind") == "image" and one.get("Available") for one in manifests)


def _parameter(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, Mapping | Sequence) and not isinstance(value, str) else str(value)


def _unix_seconds(time: str) -> str:
    """The engine reads seconds since 1970, with nanoseconds after the point."""
    time_ns = max(unix_ns(time), 0)
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"


def _path(name: str) -> str:
    return quote(name, safe="/:@")


def _message(response: Response) -> str:
    """The engine's own words."""
    try:
        text = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        text = response.text or response.reason
    return " ".join(text.split())
