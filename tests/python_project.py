"""A small Python project, a wheel that it needs and a base to put it on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from bundler.model.oci import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"  # so that what is packed can be run here
GRAPH = f"""
bundle: hello
version: 1.0.0
services:
  web:
    build: {{python: ./app, base: "oci:./base", version: "{HERE}"}}
    expose: {{http: 8000}}
"""
PYPROJECT = """
[project]
name = "hello"
version = "1"
dependencies = ["tiny-greeting>=2"]
[project.scripts]
hello = "hello.main:run"
"""
MAIN = "import tiny_greeting\n\ndef run():\n    print(tiny_greeting.text())\n"
TINY = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny-greeting"
version = "2.0"
NEEDS
[project.scripts]
greet = "tiny_greeting:show"
[tool.hatch.build.targets.wheel.shared-scripts]
"old-style" = "old-style"
""",
    "old-style": "#!python\nprint('old')\n",
    "tiny_greeting/__init__.py": "def text():\n    return 'well met'\n\ndef show():\n    print(text())\n",
}


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, ns=(10**18, 10**18 + len(content)))
    return directory


def wheel(into: Path, work: Path, *, needs: str = "", sdist: bool = False) -> Path:
    """Builds the tiny package."""
    write(work, {name: text.replace("NEEDS", needs) for name, text in TINY.items()})
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "sdist" if sdist else "wheel", "-d", str(into)]
    done = subprocess.run(argv, cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(into.iterdir())


def base(directory: Path, platforms: tuple[Platform, ...] = (AMD64, ARM64), **config: Any) -> None:
    """An OCI layout with an image for several platforms."""

    def put(data: bytes, kind: str) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        (directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (directory / "blobs/sha256" / name).write_bytes(data)
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    entries = []
    for platform in platforms:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(f"base-{platform.architecture}"))
        stored = put(buffer.getvalue(), "layer.v1.tar")
        machine = {"os": platform.os, "architecture": platform.architecture}
        rootfs = {"type": "layers", "diff_ids": [stored["digest"]]}
        described = put(
            json.dumps({**machine, "config": config, "rootfs": rootfs, "history": [{"created_by": "x"}]}).encode(),
            "config.v1+json",
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described,
            "layers": [stored],
        }
        entries.append({**put(json.dumps(manifest).encode(), "manifest.v1+json"), "platform": machine})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    top = put(json.dumps(index).encode(), "index.v1+json")
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
