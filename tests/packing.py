"""What is packed in tests, and what is found in the bundle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import textwrap
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from bundler.layout.archive import ArchiveReader
from bundler.model.bundle import Bundle
from bundler.model.progress import Silent
from bundler.pack import BuildResult
from bundler.trust.keys import PrivateKey
from bundler.trust.policy import Policy
from bundler.trust.verify import verify

LONG_AGO = 10**18
GRAPH = """
    bundle: tiny
    version: 1.0.0
    models:
      m: {from: ./w, license: apache-2.0}
    configs:
      c: {file: ./c.yaml}
      d: {dir: ./d}
      t: {content: "language: ${values.language}\\n"}
    values:
      language: {enum: [en, de], default: en}
    services:
      web:
        image: IMAGE
        command: [/x]
        expose: {http: 8080}
        models: [m:/m]
        configs: [c:/etc/c.yaml, d:/etc/d, t:/etc/t]
      other:
        image: IMAGE
        command: [/x]
        user: "12"
"""


class Watching(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.lines: list[str] = []
        self.advanced = 0

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        self.phases.append(name)

    def advance(self, size_bytes: int) -> None:
        self.advanced += size_bytes

    def line(self, text: str) -> None:
        self.lines.append(text)


class Registry:
    """Serves a layout as an image of a registry on loopback, and counts what was asked for."""

    def __init__(self, layout: Path) -> None:
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                entry = json.loads((layout / "index.json").read_text())["manifests"][0]
                name = self.path.rsplit("/", 1)[1]
                digest = entry["digest"] if name == "1" else name
                file = layout / "blobs/sha256" / digest.removeprefix("sha256:")
                body = file.read_bytes() if file.is_file() else b""
                self.send_response(200 if file.is_file() else 404)
                self.send_header("Content-Type", entry["mediaType"] if digest == entry["digest"] else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.image = f"127.0.0.1:{self._server.server_address[1]}/acme/image:1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    """Files with a time in the past, as most files have."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(textwrap.dedent(content).encode() if isinstance(content, str) else content)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return directory


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a file's text, and leave its time in the past."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(LONG_AGO, LONG_AGO + path.stat().st_size))


def edited_in_place(path: Path) -> None:
    """Change a byte, and put size and time back to what they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        file.write(bytes([file.read(1)[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def checked(result: BuildResult, key: PrivateKey) -> Bundle:
    """What a receiver finds, every byte verified."""
    with ArchiveReader(result.path) as reader:
        verified = verify(reader, Policy((key.public,)))
        assert verified.bundle.root.digest == result.root
        return verified.bundle


def layer(result: BuildResult, digest: str) -> dict[str, bytes]:
    """The files of an image's layer in a bundle."""
    with tarfile.open(result.path) as bundle:
        body = bundle.extractfile(f"blobs/sha256/{digest}")
        assert body is not None
        with tarfile.open(fileobj=io.BytesIO(body.read())) as archive:
            return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


def image_layout(directory: Path, user: str = "app") -> None:
    """An OCI layout for linux/amd64 with one layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {"etc/passwd": b"app:x:70:71::/:\n", "etc/group": b"data:x:99:\n", "x": b"program"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    blob = buffer.getvalue()

    def put(data: bytes, media_type: str) -> dict[str, object]:
        hexadecimal = hashlib.sha256(data).hexdigest()
        (directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        write(directory, {f"blobs/sha256/{hexadecimal}": data})
        return {"mediaType": media_type, "digest": f"sha256:{hexadecimal}", "size": len(data)}

    stored = put(blob, "application/vnd.oci.image.layer.v1.tar")
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"User": user},
        "rootfs": {"type": "layers", "diff_ids": [stored["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [stored],
    }
    entry = put(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]})
    write(directory, {"oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": index})
