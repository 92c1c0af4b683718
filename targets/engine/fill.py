"""Volumes and what is in them, written through the engine's archive API.

A volume is filled through a container that mounts it, is created and never started, and is removed when the
volume is complete. The engine makes the volume, with our labels, together with that container: so a volume
without its filler is a complete one, and an interrupted filling is done again. Nothing of this machine's file
system is involved: the engine may be elsewhere.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from secrets import token_hex
from typing import Any

from bundler.contract import BlobSource
from bundler.errors import TargetError
from bundler.model.observed import StoredSecret
from bundler.model.oci import Digest
from targets import ownership
from targets.engine import delivery, tar, texts
from targets.engine.api import Engine
from targets.helper import MOUNT_PATH, binary

HOLDER = "bundle.local/graphbundle/helper"
HOLDER_ARCHITECTURE = "amd64"  # of the holder image's own file, which never runs
_PLACE = "/.bundle-fill"
_CONTENT = "content"


def holder_reference() -> str:
    return f"{HOLDER}:{Digest.of(binary(HOLDER_ARCHITECTURE)).short}"


def holder(engine: Engine) -> str:
    """The local image of containers that are never started; loaded where it is missing."""
    reference = holder_reference()
    if engine.image(reference) is None:
        program = binary(HOLDER_ARCHITECTURE)
        architecture = _architecture(engine)
        archive, _, _ = delivery.local_image(reference, architecture, posixpath.basename(MOUNT_PATH), program)
        engine.load(iter([archive]))
    return reference


def _architecture(engine: Engine) -> str:
    machine = str(engine.info["Architecture"])
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@contextmanager
def filling(
    engine: Engine, volume: str, image: str, labels: Mapping[str, str], *, name: str = _CONTENT, number: int = 0
) -> Iterator[str]:
    """A created container of `image` with `volume` at _PLACE/`name`; the volume is made if need be.

    `number` tells several fillers of one volume apart. After an error the filler stays, as the mark of a volume that is
    not complete.
    """
    app, target = labels[ownership.APP], labels[ownership.TARGET]
    there = engine.volume(volume)
    if there is not None and not ownership.ours(there.get("Labels"), target, app):
        raise TargetError(f"volume {volume} is there and does not belong to {app}")
    filler = ownership.filler(volume, number)
    stale = engine.container(filler)
    if stale is not None:
        if not ownership.ours(stale["Config"].get("Labels"), target, app):
            raise TargetError(f"container {filler} is there and does not belong to {app}")
        engine.remove(stale["Id"])
    container = _create(engine, filler, volume, image, labels, name)
    yield container
    engine.remove(container)


def _create(engine: Engine, container: str, volume: str, image: str, labels: Mapping[str, str], name: str) -> str:
    mount = {
        "Type": "volume",
        "Source": volume,
        "Target": f"{_PLACE}/{name}",
        "VolumeOptions": {"NoCopy": True, "Labels": dict(labels)},
    }
    body = {
        "Image": image,
        "Entrypoint": ["/never-started"],
        "Cmd": [],
        "Labels": dict(labels),
        "HostConfig": {"NetworkMode": "none", "Mounts": [mount]},
    }
    return engine.create(container, body)


def files(
    engine: Engine,
    payload: Mapping[str, Any],
    labels: Mapping[str, str],
    blobs: BlobSource | None,
    secrets: Mapping[str, StoredSecret],
) -> None:
    """One workload's config and secret files, owned by its user."""
    with filling(engine, payload["volume"], payload["image"], labels) as container:
        uid, gid = owner(engine, container, payload["image"], payload["user"])
        members = (_file(entry, uid, gid, blobs, secrets) for entry in payload["files"])
        engine.put(container, _PLACE, tar.stream([tar.directory(_CONTENT, uid=0, gid=0), *members]))


def _file(
    entry: Mapping[str, Any], uid: int, gid: int, blobs: BlobSource | None, secrets: Mapping[str, StoredSecret]
) -> tar.Member:
    name, mode, content = f"{_CONTENT}/{entry['name']}", entry["mode"], entry["content"]
    if "text" in content:
        return tar.file(name, texts.reveal(content["text"], secrets), mode=mode, uid=uid, gid=gid)
    if blobs is None:
        raise TargetError(f"{entry['path']} is in the bundle, and no bundle was given")
    blob = delivery.descriptor(content["blob"])
    return tar.Member(name, mode, blobs.stream(blob), blob.size_bytes, uid, gid)


def data(engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """A data volume: made, given the content that the first of its mounters' images has at the mount path,
    and its root given to the first writer."""
    if not payload["mounters"]:
        engine.create_volume(payload["volume"], labels)
    seeded = False
    with ExitStack() as fillers:
        for number, mounter in enumerate(payload["mounters"]):
            path, image = mounter["path"].rstrip("/"), mounter["image"]
            name = posixpath.basename(path)
            container = fillers.enter_context(
                filling(engine, payload["volume"], image, labels, name=name, number=number)
            )
            mode = engine.directory_mode(container, path)
            if not seeded and mode is not None:
                seeded = _seed(engine, container, path)
            if mounter["owner"]:
                uid, gid = owner(engine, container, image, mounter["user"])
                if (uid, gid) != (0, 0):
                    entry = tar.directory(name, mode=mode if mode is not None else 0o755, uid=uid, gid=gid)
                    engine.put(container, _PLACE, tar.whole([entry]))


def _seed(engine: Engine, container: str, path: str) -> bool:
    """Copies the directory into the volume; False where it is empty. Its tar is passed on as it comes."""
    kept: list[bytes] = []
    pieces = engine.get(container, path)
    if not _has_content(pieces, kept):
        return False
    engine.put(container, _PLACE, _joined(kept, pieces))
    return True


def _joined(kept: Iterable[bytes], rest: Iterable[bytes]) -> Iterator[bytes]:
    yield from kept
    yield from rest


class _Reader(io.RawIOBase):
    """What has been read of a stream is kept, to be sent on."""

    def __init__(self, pieces: Iterator[bytes], kept: list[bytes]) -> None:
        self._pieces, self._kept, self._buffer = pieces, kept, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._buffer) < size and (piece := next(self._pieces, b"")):
            self._kept.append(piece)
            self._buffer += piece
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _has_content(pieces: Iterator[bytes], kept: list[bytes]) -> bool:
    """Whether a tar has more than its first member. Reads no further than the second member's header."""
    with suppress(tarfile.ReadError), tarfile.open(fileobj=_Reader(pieces, kept), mode="r|") as archive:
        archive.next()
        return archive.next() is not None
    return False


def model(
    engine: Engine,
    payload: Mapping[str, Any],
    labels: Mapping[str, str],
    blobs: BlobSource | None,
    progress: Callable[[int], None],
) -> None:
    """Weights in a volume, for engines without image mounts: the layers are tars of the files."""
    if blobs is None:
        raise TargetError(f"the weights of {payload['volume']} are in the bundle, and no bundle was given")
    with filling(engine, payload["volume"], holder(engine), labels) as container:
        for value in payload["layers"]:
            engine.put(container, f"{_PLACE}/{_CONTENT}", _counted(blobs.stream(delivery.descriptor(value)), progress))


def _counted(pieces: Iterable[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        progress(len(piece))


def helper(engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """The volume with the program that probes from inside."""
    name = f"{_CONTENT}/{posixpath.basename(MOUNT_PATH)}"
    with filling(engine, payload["volume"], holder(engine), labels) as container:
        engine.put(container, _PLACE, tar.whole([tar.file(name, binary(payload["architecture"]), mode=0o555)]))


# Secrets: NAME and NAME.revision, readable by root alone. The revision goes first: a value without its own
# revision must never look stored.

REVISION = ".revision"


def store_secrets(
    engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str], secrets: Mapping[str, StoredSecret]
) -> None:
    members = []
    for name in payload["names"]:
        if name not in secrets:
            raise TargetError(f"secret {name} has no value yet")
        secret = secrets[name]
        members.append(tar.file(f"{_CONTENT}/{name}{REVISION}", secret.revision.encode(), mode=0o400))
        members.append(tar.file(f"{_CONTENT}/{name}", secret.value, mode=0o400))
    with filling(engine, payload["volume"], holder(engine), labels) as container:
        engine.put(container, _PLACE, tar.whole([tar.directory(_CONTENT, mode=0o700), *members]))


def stored_secrets(engine: Engine, volume: str, labels: Mapping[str, str]) -> dict[str, StoredSecret]:
    """Reads them back; leaves the engine as it was."""
    there = engine.volume(volume)
    if there is None or not ownership.ours(there.get("Labels"), labels[ownership.TARGET], labels[ownership.APP]):
        return {}
    had_holder = engine.image(holder_reference()) is not None
    name = f"{volume}{ownership.READER}{token_hex(4)}"
    container = _create(engine, name, volume, holder(engine), labels, _CONTENT)
    try:
        packed = b"".join(engine.get(container, f"{_PLACE}/{_CONTENT}"))
    finally:
        engine.remove(container)
    if not had_holder:
        with suppress(TargetError):  # another command has begun to use it
            engine.remove_image(holder_reference())
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            opened = archive.extractfile(member)
            if opened is not None:
                found[posixpath.basename(member.name)] = opened.read()
    return {
        name: StoredSecret(found[name + REVISION].decode(), value)
        for name, value in sorted(found.items())
        if name + REVISION in found
    }


def owner(engine: Engine, container: str, image: str, user: str | None) -> tuple[int, int]:
    """The numeric user and group of `user`, or of the image's own; names are looked up in the image."""
    if user is None:
        user = ((engine.image(image) or {}).get("Config") or {}).get("User") or "0:0"
    who, _, group = user.partition(":")
    uid, own_group = (int(who), None) if who.isdigit() else _look_up(engine, container, "/etc/passwd", who)
    if not group:
        if own_group is None and uid != 0:
            own_group = _primary_group(engine, container, uid)
        return uid, own_group or 0
    return uid, int(group) if group.isdigit() else _look_up(engine, container, "/etc/group", group)[0]


def _look_up(engine: Engine, container: str, path: str, name: str) -> tuple[int, int | None]:
    for fields in _fields(engine, container, path):
        if fields[0] == name:
            return int(fields[2]), int(fields[3]) if path == "/etc/passwd" else None
    raise TargetError(f"the image has no {name} in {path}", hint="give a numeric `user`")


def _primary_group(engine: Engine, container: str, uid: int) -> int:
    return next((int(f[3]) for f in _fields(engine, container, "/etc/passwd") if f[2] == str(uid)), 0)


def _fields(engine: Engine, container: str, path: str) -> list[list[str]]:
    try:
        packed = b"".join(engine.get(container, path))
    except TargetError:
        return []
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.next()
        opened = archive.extractfile(member) if member is not None else None
        lines = opened.read().decode(errors="replace").splitlines() if opened is not None else []
    return [fields for line in lines if len(fields := line.split(":")) >= 4]
