"""Wheels of all makes, written by hand: what is unpacked of them, and what is told of one that cannot be."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from bundler.collect import wheels
from bundler.collect.python import GLIBC
from bundler.edges import pip
from bundler.errors import SourceError


def made(folder: Path, files: dict[str, str], tag: str = "py3-none-any") -> Path:
    """The wheel of a package called odd, its files not executable, as Windows writes them."""
    every = {
        "odd-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: odd\nVersion: 1\n",
        "odd-1.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **files,
    }
    rows = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in every.items()]
    path = folder / f"odd-1-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in every.items():
            archive.writestr(name, text)
        archive.writestr("odd-1.dist-info/RECORD", "\n".join([*rows, "odd-1.dist-info/RECORD,,", ""]))
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def unpacked(wheel: Path, tmp_path: Path) -> dict[str, bool]:
    """Paths in the image -> whether they can be run."""
    into = tmp_path / "deep/in/here"
    into.mkdir(parents=True)
    return {entry.path: entry.executable for entry in wheels.unpack([wheel], into, "3.13", "x")}


def test_a_program_can_be_run_though_the_wheel_does_not_say_so(tmp_path: Path) -> None:
    found = unpacked(made(tmp_path, {"odd.py": "", "odd-1.data/scripts/greet": "#!python\nprint('hi')\n"}), tmp_path)
    assert found["opt/python/bin/greet"]
    assert not found["opt/python/lib/python3.13/site-packages/odd.py"]
    text = (tmp_path / "deep/in/here/opt/python/bin/greet").read_text()
    assert text.startswith("#!/usr/bin/env python3.13\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"odd-1.dist-info/entry_points.txt": "[console_scripts]\nodd = odd\n"}, "names no module:function"),
        ({"odd-1.dist-info/entry_points.txt": "odd = odd:run\n"}, "its entry_points.txt: File contains no section"),
        ({"odd-1.dist-info/entry_points.txt": "[console_scripts]\n../../../../../../evil = a:b\n"}, "outside"),
        ({"../../../../../../../../evil.py": ""}, "outside"),
        ({"odd-1.data/data/../../../../../evil.py": ""}, "outside"),
        ({"odd-1.data/elsewhere/x": ""}, "x is not contained in a valid .data subdirectory"),
    ],
    ids=["no function", "no section", "program outside", "file outside", "data outside", "unknown scheme"],
)
def test_a_wheel_that_is_none_is_told_of_and_writes_nothing_elsewhere(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceError, match=rf"^x: odd-1-py3-none-any.whl cannot be unpacked: .*{said}"):
        unpacked(made(tmp_path, files), tmp_path)
    assert not list(tmp_path.rglob("evil*"))


def test_damaged_bytes_of_a_wheel_are_told_of(tmp_path: Path) -> None:
    wheel = made(tmp_path, {"odd.py": "x" * 1000})
    data = bytearray(wheel.read_bytes())
    start = data.index(b"odd.py") + len(b"odd.py")
    data[start : start + 2] = bytes(each ^ 0xFF for each in data[start : start + 2])
    wheel.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be unpacked: Error -3 while decompressing"):
        unpacked(wheel, tmp_path)


@pytest.mark.parametrize(
    ("tag", "taken"),
    [
        ("cp311-cp311-manylinux1_x86_64", True),
        ("cp311-cp311-manylinux_2_5_x86_64", True),
        ("cp39-abi3-manylinux_2_34_x86_64", True),
        ("py2.py3-none-any", True),
        ("cp311-cp311-manylinux_2_40_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311t-manylinux2014_x86_64", False),
        ("cp312-cp312-manylinux2014_x86_64", False),
        ("cp311-cp311-manylinux2014_aarch64", False),
    ],
)
def test_a_wheel_is_taken_where_the_python_of_the_image_can_load_it(tmp_path: Path, tag: str, *, taken: bool) -> None:
    (tmp_path / "wheels").mkdir()
    wheel = made(tmp_path / "wheels", {"odd.py": ""}, tag)
    (tmp_path / "r.txt").write_text("odd==1\n")
    machines = [f"{glibc}_x86_64" for glibc in GLIBC]
    refused = nullcontext() if taken else pytest.raises(SourceError, match="has no odd 1 for")
    with refused:
        pip.download(
            tmp_path / "r.txt",
            tmp_path,
            machines=machines,
            version="3.11",
            wheels=tmp_path / "wheels",
            what="x",
            where="here",
        )
    assert (tmp_path / wheel.name).exists() == taken
