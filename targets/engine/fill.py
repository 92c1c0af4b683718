"""Volumes and what is in them, written through the engine's archive API.

A volume is filled through a container that mounts it, is created and never started. An empty volume beside it marks
it as not complete, from before it is made until all is in it: an interrupted filling is done again, and a complete
volume is left alone. Nothing of this machine's file system is involved: the engine may be elsewhere.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from secrets import token_hex
from typing import Any

from bundler.contract import BlobSource
from bundler.errors import TargetError
from bundler.model.observed import StoredSecret
from targets import ownership, tar, texts
from targets.counting import counted
from targets.descriptors import descriptor
from targets.engine import delivery
from targets.engine.api import Conflict, Engine, NotThere
from targets.helper import MOUNT_PATH, binary

HELPER_IMAGE = "bundle.local/graphbundle/helper"
HELPER_ARCHITECTURE = "amd64"  # of the helper image's own file, which never runs
INCOMPLETE = "incomplete/"  # the resource of a mark, by the name of the volume that it is about
_PLACE = "/.bundle-fill"
_MARK_PLACE = "/.bundle-mark"
_CONTENT = "content"


def helper_image(engine: Engine, labels: Mapping[str, str]) -> str:
    """The local image of containers that are not the app's own; loaded where it is missing. The app of `labels` has one
    to itself: what another one takes away is never in the way of this."""
    archive, reference = _helper_archive(architecture(engine), labels[ownership.TARGET], labels[ownership.APP])
    if engine.image(reference) is None:
        engine.load(iter([archive]))
    return reference


@cache
def _helper_archive(architecture: str, target: str, app: str) -> tuple[bytes, str]:
    labels = ownership.labels(target, app, delivery.HELPER, "1")
    program = binary(HELPER_ARCHITECTURE)
    return delivery.local_image(HELPER_IMAGE, architecture, posixpath.basename(MOUNT_PATH), program, labels)


def made(engine: Engine, name: str, body: Mapping[str, Any]) -> str:
    """A created container. What only reads secrets takes a helper image that it has loaded along again; another command
    of the app may just have found it."""
    try:
        return engine.create(name, body)
    except NotThere:
        if not body["Image"].startswith(HELPER_IMAGE + ":"):
            raise
        helper_image(engine, body["Labels"])
        return engine.create(name, body)


def architecture(engine: Engine) -> str:
    machine = str(engine.info["Architecture"])
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@dataclass(slots=True)
class Filling:
    """The containers through which one volume is written. The first has a name that nobody else may have and mounts
    `mark` too: an engine removes no volume that a container has."""

    engine: Engine
    volume: str
    labels: Mapping[str, str]
    mark: str | None = None
    token: str = ""  # of the mark, as it was when this began
    made: list[str] = field(default_factory=list)

    def container(self, image: str, name: str = _CONTENT) -> str:
        """A created container of `image` with the volume at _PLACE/`name`; the first one makes the volume."""
        filler = ownership.filler(self.volume, len(self.made))
        stale = self.engine.container(filler)
        if stale is not None:
            _own(stale["Config"].get("Labels"), self.labels, f"container {filler}")
            self.engine.remove(stale["Id"])
        mounts = {self.volume: f"{_PLACE}/{name}"}
        if self.mark is not None and not self.made:
            mounts[self.mark] = _MARK_PLACE
        self.made.append(made(self.engine, filler, _body(mounts, image, self.labels)))
        if self.mark in mounts and self._token() != self.token:
            self.close()
            self.engine.remove_volume(self.mark)  # made by the container: the volume was completed before
            raise self.disturbed()
        return self.made[-1]

    def _token(self) -> str | None:
        mark = self.engine.volume(self.mark or "") or {}
        return (mark.get("Labels") or {}).get(ownership.SPEC)

    def finish(self) -> None:
        """Removes the mark. Raises TargetError where another deploy has begun to fill the same volume."""
        taken = bool(self.made) and self.engine.container(self.made[0]) is None
        self.close()
        if taken:
            raise self.disturbed()
        if self.mark is not None:
            try:
                self.engine.remove_volume(self.mark)
            except Conflict as error:
                raise self.disturbed() from error

    def disturbed(self) -> TargetError:
        return TargetError(
            f"another deploy of {self.labels[ownership.APP]} is filling volume {self.volume}", hint=_ELSEWHERE
        )

    def close(self) -> None:
        for container in self.made:
            self.engine.remove(container)


_ELSEWHERE = "wait until it has ended, then run the same command again"


def _own(found: Mapping[str, str] | None, labels: Mapping[str, str], what: str) -> None:
    app = labels[ownership.APP]
    if not ownership.ours(found, labels[ownership.TARGET], app):
        raise TargetError(f"{what} is there and does not belong to {app}")


@contextmanager
def filling(engine: Engine, volume: str, labels: Mapping[str, str]) -> Iterator[Filling | None]:
    """None where the volume is there and complete. After an error it stays marked as not complete."""
    mark, token = ownership.filling_volume(volume), token_hex(8)
    there = _own_volume(engine, volume, labels)
    if there and engine.volume(mark) is None:
        yield None
        return
    if there and _in_use(engine, volume, labels):
        engine.remove_volume(mark)
        yield None
        return
    marked = ownership.labels(labels[ownership.TARGET], labels[ownership.APP], INCOMPLETE + volume, token)
    found = engine.create_volume(mark, marked)
    _own(found, labels, f"volume {mark}")
    if found.get(ownership.SPEC) == token and _own_volume(engine, volume, labels):
        engine.remove_volume(mark)  # a volume that is older than its mark was completed meanwhile
        yield None
        return
    filler = Filling(engine, volume, labels, mark, found.get(ownership.SPEC, ""))
    try:
        yield filler
        filler.finish()
    except BaseException:
        with suppress(TargetError):
            filler.close()
        raise


def _own_volume(engine: Engine, volume: str, labels: Mapping[str, str]) -> bool:
    """Whether it is there. Raises TargetError where it is somebody else's."""
    there = engine.volume(volume)
    if there is not None:
        _own(there.get("Labels"), labels, f"volume {volume}")
    return there is not None


def _in_use(engine: Engine, volume: str, labels: Mapping[str, str]) -> bool:
    """Whether a container of the app has it, which is made only once the volume is complete."""
    own = [
        c
        for c in engine.containers()
        if ownership.ours(c.get("Labels"), labels[ownership.TARGET], labels[ownership.APP])
    ]
    users = [
        c["Names"][0].removeprefix("/") for c in own if any(m.get("Name") == volume for m in c.get("Mounts") or ())
    ]
    return any(not name.startswith(ownership.filler(volume)) for name in users)


def _body(mounts: Mapping[str, str], image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Of a container that has volumes at places; those that are not there are made."""
    options = {"NoCopy": True, "Labels": dict(labels)}
    return {
        "Image": image,
        "Entrypoint": ["/never-started"],
        "Cmd": [],
        "Labels": dict(labels),
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": [
                {"Type": "volume", "Source": volume, "Target": place, "VolumeOptions": options}
                for volume, place in mounts.items()
            ],
        },
    }


def files(
    engine: Engine,
    payload: Mapping[str, Any],
    labels: Mapping[str, str],
    blobs: BlobSource | None,
    secrets: Mapping[str, StoredSecret],
) -> None:
    """One workload's config and secret files, owned by its user."""
    with filling(engine, payload["volume"], labels) as volume:
        if volume is None:
            return
        container = volume.container(payload["image"])
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
    blob = descriptor(content["blob"])
    return tar.Member(name, mode, blobs.stream(blob), blob.size_bytes, uid, gid)


def data(engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """A data volume: made, given the content that the first of its mounters' images has at the mount path,
    and its root given to the first writer."""
    seeded = False
    with filling(engine, payload["volume"], labels) as volume:
        if volume is None:
            return
        if not payload["mounters"]:
            engine.create_volume(payload["volume"], labels)
        for mounter in payload["mounters"]:
            path, image = mounter["path"].rstrip("/"), mounter["image"]
            name = posixpath.basename(path)
            container = volume.container(image, name)
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
    with filling(engine, payload["volume"], labels) as volume:
        if volume is None:
            return
        container = volume.container(helper_image(engine, labels))
        for value in payload["layers"]:
            engine.put(container, f"{_PLACE}/{_CONTENT}", counted(blobs.stream(descriptor(value)), progress))


def helper(engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """The volume with the program that probes from inside."""
    name = f"{_CONTENT}/{posixpath.basename(MOUNT_PATH)}"
    with filling(engine, payload["volume"], labels) as volume:
        if volume is None:
            return
        container = volume.container(helper_image(engine, labels))
        engine.put(container, _PLACE, tar.whole([tar.file(name, binary(payload["architecture"]), mode=0o555)]))


# Secrets: NAME and NAME.revision, readable by root alone. The revision is emptied first and written last: a value that
# is not whole, or not the revision's, never looks stored. So this volume needs no mark.

REVISION = ".revision"


def store_secrets(
    engine: Engine, payload: Mapping[str, Any], labels: Mapping[str, str], secrets: Mapping[str, StoredSecret]
) -> None:
    """Raises TargetError where another deploy has stored one of them since the plan was made."""
    volume, members = payload["volume"], []
    for name in payload["names"]:
        secret = secrets.get(name)
        if secret is None:
            raise TargetError(f"secret {name} has no value yet")
        members.append(tar.file(f"{_CONTENT}/{name}{REVISION}", b"", mode=0o400))
        members.append(tar.file(f"{_CONTENT}/{name}", secret.value, mode=0o400))
        members.append(tar.file(f"{_CONTENT}/{name}{REVISION}", secret.revision.encode(), mode=0o400))
    _own(engine.create_volume(volume, labels), labels, f"volume {volume}")
    writer = Filling(engine, volume, labels)
    try:
        container = writer.container(helper_image(engine, labels))
        for name, kept in _read_secrets(engine, container).items():
            if name in secrets and kept.revision not in (secrets[name].revision, payload["before"].get(name)):
                raise TargetError(
                    f"another deploy of {labels[ownership.APP]} has stored secret {name} meanwhile", hint=_ELSEWHERE
                )
        engine.put(container, _PLACE, tar.whole([tar.directory(_CONTENT, mode=0o700), *members]))
    finally:
        writer.close()


def stored_secrets(engine: Engine, volume: str, labels: Mapping[str, str]) -> dict[str, StoredSecret]:
    """Reads them back; leaves the engine as it was."""
    there = engine.volume(volume)
    if there is None or not ownership.ours(there.get("Labels"), labels[ownership.TARGET], labels[ownership.APP]):
        return {}
    _, image = _helper_archive(architecture(engine), labels[ownership.TARGET], labels[ownership.APP])
    had_image, token = engine.image(image) is not None, token_hex(4)
    marked = {**labels, ownership.SPEC: token}  # the container makes a volume that has gone meanwhile anew
    name, mounts = f"{volume}{ownership.READER}{token}", {volume: f"{_PLACE}/{_CONTENT}"}
    body = _body(mounts, helper_image(engine, labels), marked)
    try:
        container = engine.create(name, body)
    except NotThere:  # a removal has just taken the image along
        had_image, container = False, made(engine, name, body)
    anew = ((engine.volume(volume) or {}).get("Labels") or {}).get(ownership.SPEC) == token
    try:
        found = {} if anew else _read_secrets(engine, container)
    finally:
        engine.remove(container)
        with suppress(TargetError):  # another command has begun to use it
            if anew:
                engine.remove_volume(volume)
            if anew or not had_image:
                engine.remove_image(image)
    return found


def _read_secrets(engine: Engine, container: str) -> dict[str, StoredSecret]:
    packed = b"".join(engine.get(container, f"{_PLACE}/{_CONTENT}"))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            opened = archive.extractfile(member)
            if opened is not None:
                found[posixpath.basename(member.name)] = opened.read()
    return {
        name: StoredSecret(found[name + REVISION].decode(), value)
        for name, value in sorted(found.items())
        if found.get(name + REVISION)
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
