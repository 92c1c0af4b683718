"""The image of all rows, made in memory as `docker save` writes one: the small fixture's program, and around it what
the rows look for."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
OWNER = 10001
FILES = {
    "etc/passwd": b"root:x:0:0::/:\napp:x:1234:1235::/home/app:\n",
    "etc/group": b"root:x:0:\napp:x:1235:\nextra:x:1300:app\n",
    "etc/settings/sibling": b"from the image\n",
    "full/file": b"from the image\n",
    "seeded/first": b"from the image\n",
    "seeded/below/second": b"from the image\n",
}
CONFIG = {"Entrypoint": ["/app"], "Cmd": ["serve", "7000"], "User": f"{OWNER}:{OWNER}", "Env": ["FROM_IMAGE=yes"]}


def machine() -> str:
    """This machine's architecture, in the words of images."""
    return MACHINES.get(platform.machine(), platform.machine())


def other_machine() -> str:
    return next(name for name in MACHINES.values() if name != machine())


def write(file: Path, program: bytes, architecture: str, row: str) -> None:
    """A docker-archive with one image in it. Each row's is another image: what one takes away, no other has."""
    layer = _layer(program)
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {**CONFIG, "Labels": {"row": row}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    config = json.dumps(document, sort_keys=True).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(file, "w") as archive:
        for member, data in (("layer.tar", layer), (name, config), ("manifest.json", manifest)):
            _add(archive, tarfile.TarInfo(member), data)


def config_digest(file: Path) -> str:
    """Of the image in such a file."""
    with tarfile.open(file) as archive:
        name = next(name for name in archive.getnames() if name.endswith(".json") and name != "manifest.json")
    return f"sha256:{name.removesuffix('.json')}"


def _layer(program: bytes) -> bytes:
    """Directories first; all that a volume may begin with belongs to the image's user."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        parents = {str(parent) for name in FILES for parent in Path(name).parents if str(parent) != "."}
        for name in sorted(parents):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            _own(member)
            archive.addfile(member)
        for name, data in sorted(FILES.items()):
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            _own(member)
            _add(archive, member, data)
        member = tarfile.TarInfo("app")
        member.mode = 0o755
        _add(archive, member, program)
    return buffer.getvalue()


def _own(member: tarfile.TarInfo) -> None:
    if member.name.startswith("seeded"):
        member.uid = member.gid = OWNER


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
