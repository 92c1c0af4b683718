"""Images of a Docker engine, for building: what it has, its bytes as one stream, and BuildKit."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.edges import process
from bundler.edges.engine import connect, engine_errors
from bundler.errors import SourceError

if TYPE_CHECKING:
    from docker import APIClient

CHUNK_BYTES = 1 << 20
LAST_LINES = 20
_PLATFORM_API = (1, 49)  # Docker Engine 28.1: inspect with `platform`


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as the engine reports it. `id` is the config's digest on the classic store, the manifest's or
    index's on the containerd store. `size_bytes` is unpacked, and on the containerd store approximate."""

    id: str
    os: str
    architecture: str
    variant: str
    diff_ids: tuple[str, ...]
    user: str
    size_bytes: int


class Engine:
    """An engine's images. Every error is a SourceError."""

    def __init__(self, client: APIClient) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Engine:
        """Raises TargetError where no engine answers."""
        return cls(connect())

    def close(self) -> None:
        self._client.close()

    def platform(self) -> tuple[str, str]:
        """The engine's own operating system and architecture, in OCI's words."""
        with engine_errors("the Docker engine's version", SourceError):
            version = self._client.version()
        return str(version["Os"]), str(version["Arch"])

    def inspect(self, name: str, platform: Mapping[str, str] | None = None) -> EngineImage | None:
        """None where the engine has no such image, or not for that platform. An older engine ignores `platform`."""
        from docker.errors import ImageNotFound, NotFound

        parameters = {}
        if platform is not None and tuple(int(part) for part in self._client.api_version.split(".")) >= _PLATFORM_API:
            parameters["platform"] = json.dumps(platform)
        with engine_errors(f"image {name}", SourceError):
            try:
                answer = self._client.get(self._url(f"/images/{name}/json"), params=parameters)
                self._client._raise_for_status(answer)  # type: ignore[attr-defined]
            except (ImageNotFound, NotFound):
                return None
            found: dict[str, Any] = answer.json()
        config = found.get("Config") or {}
        return EngineImage(
            id=str(found["Id"]),
            os=str(found.get("Os", "")),
            architecture=str(found.get("Architecture", "")),
            variant=str(found.get("Variant") or ""),
            diff_ids=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            user=str(config.get("User") or ""),
            size_bytes=int(found.get("Size") or 0),
        )

    def save(self, ids: Sequence[str]) -> Iterator[bytes]:
        """One `docker save` archive of all these images."""
        with engine_errors("saving images from the Docker engine", SourceError):
            # No time limit: the classic store writes the whole archive to its disk before it sends a byte.
            answer = self._client.get(
                self._url("/images/get"), params={"names": list(ids)}, stream=True, timeout=(30.0, None)
            )
            try:
                self._client._raise_for_status(answer)  # type: ignore[attr-defined]
                yield from _gathered(answer.iter_content(CHUNK_BYTES))
            finally:
                answer.close()

    def _url(self, path: str) -> str:
        return f"{self._client.base_url}/v{self._client.api_version}{path}"


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Larger pieces: engines send 32 KiB at a time, too little to be worth handing to another thread."""
    waiting: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        waiting.append(piece)
        size_bytes += len(piece)
        if size_bytes >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size_bytes = [], 0
    if waiting:
        yield b"".join(waiting)


def build(context: Path, tag: str, platform: str | None, line: Callable[[str], None], what: str) -> None:
    """Build a directory with a Dockerfile by BuildKit into the engine, as `tag`.

    `line` gets every line of BuildKit's; the last ones are in the SourceError of a build that fails.
    """
    docker = process.find(
        "docker",
        hint="building images needs the docker command with its buildx plugin",
        as_error=SourceError,
    )
    argv = [*_build_command(docker), "--progress=plain", f"--tag={tag}"]
    argv += [*([f"--platform={platform}"] if platform else []), "--", str(context)]
    last: deque[str] = deque(maxlen=LAST_LINES)
    output = process.lines(argv)
    try:
        while True:
            text = next(output)
            last.append(text)
            line(text)
    except StopIteration as end:
        status = int(end.value)
    if status:
        shown = "\n    ".join(text for text in last if text.strip())
        raise SourceError(f"{what}: the build of {context} failed (exit status {status})", hint=shown or None)


def _build_command(docker: str) -> list[str]:
    """buildx where it is there (without attestations, which would be of this moment), else the engine's BuildKit."""
    asked = process.run([docker, "buildx", "version"], timeout_s=30.0, as_error=SourceError)
    found = re.search(rb"v?(\d+)\.(\d+)", asked.stdout)
    if asked.returncode or found is None:
        return ["/usr/bin/env", "DOCKER_BUILDKIT=1", docker, "build"]
    attestations = ["--provenance=false", "--sbom=false"] if (int(found[1]), int(found[2])) >= (0, 10) else []
    return [docker, "buildx", "build", "--load", *attestations]
