"""Images of a Docker engine, for building: what it has, its bytes as one stream, and BuildKit."""

from __future__ import annotations

import json
import os
import re
import tempfile
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
AT_ONCE = 4  # builds; BuildKit makes once what several of them have in common
_TCP = re.compile("([0-9]+)(?:/tcp)?")  # https://github.com/opencontainers/image-spec/blob/main/config.md
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
    ports: tuple[int, ...] = ()  # TCP, as its EXPOSE says


class Engine:
    """An engine's images. Every error is a SourceError."""

    def __init__(self, client: APIClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, *, timeout_s: float = 120.0) -> Engine:
        """Raises TargetError where no engine answers."""
        return cls(connect(timeout_s=timeout_s))

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
        exposed = config.get("ExposedPorts") or {}
        return EngineImage(
            id=str(found["Id"]),
            os=str(found.get("Os", "")),
            architecture=str(found.get("Architecture", "")),
            variant=str(found.get("Variant") or ""),
            diff_ids=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            user=str(config.get("User") or ""),
            size_bytes=int(found.get("Size") or 0),
            ports=tuple(sorted(int(port[1]) for each in exposed if (port := _TCP.fullmatch(each)))),
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


@dataclass(frozen=True, slots=True)
class Build:
    """A directory with a Dockerfile, what BuildKit is to know it by, and what the engine is to call the image;
    `what` begins an error's text, `ignored` are lines for its .dockerignore."""

    context: Path
    known_as: str
    tag: str
    platform: str | None
    what: str
    ignored: tuple[str, ...] = ()


def build(builds: Sequence[Build], line: Callable[[Build, str], None]) -> list[tuple[str, ...]]:
    """Build by BuildKit into the engine, some side by side: of each, the digests that the engine may know it by.

    A tag is not enough: another build of the same graph may have moved it by now. `line` gets every line of
    BuildKit's; the last ones are in the SourceError of the first build, in their order, that fails.
    """
    docker = process.find(
        "docker",
        hint="building images needs the docker command with its buildx plugin",
        as_error=SourceError,
    )
    command, told_by = _build_command(docker)
    last: list[deque[str]] = [deque(maxlen=LAST_LINES) for _ in builds]

    def heard(index: int, text: str) -> None:
        last[index].append(text)
        line(builds[index], text)

    # One that is confined (Ubuntu's snap) sees nothing outside of the home directory.
    visible = Path.home() if Path(docker).resolve().name == "snap" else None
    with tempfile.TemporaryDirectory(prefix="bundle-build-", dir=visible) as directory:
        argvs = []
        told = []
        for index, one in enumerate(builds):
            place = Path(directory, str(index))
            place.mkdir()
            (place / one.known_as).symlink_to(one.context, target_is_directory=True)
            told.append(place / "told")
            options = ["--progress=plain", f"--tag={one.tag}", f"{told_by}={told[-1]}"]
            options += [f"--platform={one.platform}"] if one.platform else []
            options += _ignoring(one, place / "file") if one.ignored else []
            argvs.append([*command, *options, "--", str(place / one.known_as)])
        statuses = process.side_by_side(argvs, heard, at_once=AT_ONCE)
        for one, status, lines in zip(builds, statuses, last, strict=True):
            if status:
                shown = "\n    ".join(text for text in lines if text.strip())
                raise SourceError(
                    f"{one.what}: the build of {one.context} failed (exit status {status})", hint=shown or None
                )
        return [_digests(file) for file in told]


def _ignoring(build: Build, directory: Path) -> list[str]:
    """The option for a Dockerfile with a .dockerignore of its own: the context's, and what is ignored besides. Where
    the Dockerfile cannot be read here, BuildKit says why."""
    file = build.context / "Dockerfile"
    own = (build.context / name for name in ("Dockerfile.dockerignore", ".dockerignore"))
    try:
        if not file.resolve().is_relative_to(build.context):
            return []
        text = file.read_bytes()
        ignored = next((path.read_bytes() for path in own if path.exists()), b"")
    except OSError:
        return []
    directory.mkdir()
    (directory / "Dockerfile").write_bytes(text)
    lines = b"".join(os.fsencode(line) + b"\n" for line in build.ignored)
    (directory / "Dockerfile.dockerignore").write_bytes(ignored + b"\n" + lines)
    return [f"--file={directory / 'Dockerfile'}"]


def _build_command(docker: str) -> tuple[list[str], str]:
    """buildx where it is there (without attestations, which would be of this moment), else the engine's BuildKit; and
    the option by which it tells the digests."""
    asked = process.run([docker, "buildx", "version"], timeout_s=30.0, as_error=SourceError)
    found = re.search(rb"v?(\d+)\.(\d+)", asked.stdout)
    if asked.returncode or found is None:
        return ["/usr/bin/env", "DOCKER_BUILDKIT=1", docker, "build"], "--iidfile"
    attestations = ["--provenance=false", "--sbom=false"] if (int(found[1]), int(found[2])) >= (0, 10) else []
    return [docker, "buildx", "build", "--load", *attestations], "--metadata-file"


def _digests(file: Path) -> tuple[str, ...]:
    """Out of buildx's metadata (the manifest's on the containerd store, the config's on the classic one), or a file
    with the image's id."""
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
    if not text.startswith("{"):
        return (text,) if text else ()
    found = json.loads(text)
    return tuple(found[key] for key in ("containerimage.digest", "containerimage.config.digest") if key in found)
