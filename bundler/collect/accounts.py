"""Users of an image, numerically: `user:` names and ids are looked up in its /etc/passwd and /etc/group at pack.

An engine looks them up at every start, in the container; Kubernetes cannot. The rules are those of moby's
`user.GetExecUser`: no user is root; an id without a group has the group of its passwd entry, else 0.

The two files are read while a layer goes by on its way into the bundle: a thread walks the tar headers of a copy of
the stream. Nothing is unpacked.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bundler.collect.compression import decompressed
from bundler.collect.tarstream import Kind, StreamSource, TarReader
from bundler.errors import SourceError

PASSWD, GROUP = "etc/passwd", "etc/group"
MAX_FILE_BYTES = 4 << 20
MAX_ID = 2**31 - 1
_WAITING_PIECES = 8
_ROOT = ("", "0", "root")
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(slots=True)
class LayerAccounts:
    """What one layer says of the two files: their bytes, None where something that is not a file stands in
    their place; `hidden` are those that lower layers no longer show through."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


def needs_files(user: str) -> bool:
    """Whether the image's files must be looked at to know the numbers."""
    name, _, group = user.partition(":")
    group_known = group in ("0", "root") or _is_number(group)
    return not ((name in _ROOT and (not group or group_known)) or (_is_number(name) and group_known))


def resolve(user: str, layers: Sequence[LayerAccounts], what: str) -> str:
    """`uid:gid` of a user as `user:` or an image's config says it; `layers` from the lowest up."""
    name, _, group = user.partition(":")
    if name in _ROOT:
        uid, own_group = "0", "0"
    elif _is_number(name) and _is_number(group):
        uid, own_group = name, group
    else:
        uid, own_group = _user(name, layers, what)
    if group in ("", "root") or _is_number(group):
        gid = {"": own_group, "root": "0"}.get(group, group)
    else:
        gid = _group(group, layers, what)
    for number in (uid, gid):
        if int(number) > MAX_ID:
            raise SourceError(f"{what}: {number} is not the number of a user or group")
    return f"{int(uid)}:{int(gid)}"


def _is_number(text: str) -> bool:
    """Of a user or group; other digits than 0 to 9 are letters to an engine."""
    return _NUMBER.fullmatch(text) is not None


def _user(name: str, layers: Sequence[LayerAccounts], what: str) -> tuple[str, str]:
    """Number and own group of a user named by name or number."""
    for entry in _entries(_find(PASSWD, layers, what)):
        if len(entry) >= 4 and name in (entry[0], entry[2]) and _is_number(entry[2]) and _is_number(entry[3]):
            return entry[2], entry[3]
    if _is_number(name):
        return name, "0"
    raise SourceError(f"{what}: the image has no user {name!r} in /etc/passwd", hint="name a user by its number")


def _group(name: str, layers: Sequence[LayerAccounts], what: str) -> str:
    for entry in _entries(_find(GROUP, layers, what)):
        if len(entry) >= 3 and entry[0] == name and _is_number(entry[2]):
            return entry[2]
    raise SourceError(f"{what}: the image has no group {name!r} in /etc/group", hint="name a group by its number")


class Tap:
    """Reads the accounts of a layer out of the pieces that pass through `watch`; then `result`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING_PIECES)
        self._found = LayerAccounts()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="accounts", daemon=True)

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        self._thread.start()
        try:
            for piece in pieces:
                self._queue.put(piece)
                yield piece
        finally:
            self._queue.put(None)
            self._thread.join()

    def result(self) -> LayerAccounts:
        """SourceError where the layer is not a tar archive that can be read."""
        if self._failed is not None:
            raise self._failed
        return self._found

    def _run(self) -> None:
        pieces = iter(self._queue.get, None)
        try:
            self._found = scan(pieces, self._what)
        except Exception as error:  # raised by `result`: whoever feeds this thread must not wait for a dead one
            self._failed = error
        for _ in pieces:  # whatever follows, so that nobody waits for room
            pass


def scan(pieces: Iterable[bytes], what: str) -> LayerAccounts:
    """The accounts of one layer, plain or compressed."""
    found = LayerAccounts()
    reader = TarReader(StreamSource(decompressed(pieces, what), what), what)
    for member in reader:
        if member.name in (PASSWD, GROUP):
            if member.kind is Kind.FILE and member.size_bytes <= MAX_FILE_BYTES:
                found.files[member.name] = b"".join(reader.body())
            else:
                found.files[member.name] = None
        elif member.name in ("etc/.wh..wh..opq", ".wh.etc", ".wh..wh..opq"):
            found.hidden |= {PASSWD, GROUP}
        elif member.name in ("etc/.wh.passwd", "etc/.wh.group"):
            found.hidden.add(member.name.replace(".wh.", ""))
        elif member.name == "etc" and member.kind is not Kind.DIRECTORY:
            found.files = {PASSWD: None, GROUP: None}
    return found


def _find(name: str, layers: Sequence[LayerAccounts], what: str) -> bytes:
    for layer in reversed(layers):
        if name in layer.files:
            data = layer.files[name]
            if data is None:
                raise SourceError(f"{what}: the image's /{name} is not a plain file", hint="name users by number")
            return data
        if name in layer.hidden:
            break
    return b""


def _entries(data: bytes) -> Iterator[list[str]]:
    for line in data.decode("utf-8", "replace").splitlines():
        if line and not line.startswith("#"):
            yield line.split(":")
