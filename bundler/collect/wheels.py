"""Wheels -> the files of an image, unpacked by the wheel specification and run by nobody.

They become the user site of the base's Python (PYTHONUSERBASE), so that .pth files and programs work as if pip had
installed them there, wherever the base has its own packages.
"""

from __future__ import annotations

import configparser
import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.records import RecordEntry
from installer.sources import WheelFile
from installer.utils import Scheme, parse_metadata_file

from bundler.collect.paths import SourceTree, shown
from bundler.collect.pythonimage import BIN, PREFIX
from bundler.collect.treelayer import Entry
from bundler.errors import SourceError

INSTALLER = b"bundle\n"
_T = TypeVar("_T")


def requirements(wheel: Path, what: str) -> tuple[str, ...]:
    """What a wheel says that it needs."""
    return _reading(wheel, what, lambda source: tuple(_metadata(source).get_all("Requires-Dist") or ()))


def unpack(wheels: Iterable[Path], into: Path, version: str, what: str) -> tuple[Entry, ...]:
    """The files of all of them, below PREFIX. `into` is empty, and holds them while they are read."""
    tree = _Tree(into, version, what)
    for wheel in sorted(wheels):
        _reading(wheel, what, tree.add)
    files = SourceTree(into).walk(into, what) if any(into.iterdir()) else ()
    return tuple(Entry(file.path, file, bool(file.real.stat().st_mode & 0o100)) for file in files)


def script(module: str, attribute: str, version: str) -> bytes:
    """The program that an entry point is."""
    first = attribute.partition(".")[0]
    return (
        f"#!/usr/bin/env python{version}\n"
        "import sys\n"
        f"from {module} import {first}\n"
        "if __name__ == '__main__':\n"
        f"    sys.exit({attribute}())\n"
    ).encode()


@dataclass
class _Destination(SchemeDictionaryDestination):
    """Packages may bring the same file, as namespace packages do; `seen` is what each file has. Programs start by env,
    which finds the base's Python; they can be run whatever the wheel says, which Windows may have written."""

    seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def write_to_fs(self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        record = super().write_to_fs(scheme, path, stream, is_executable or scheme == "scripts")
        found = record.hash_.value if record.hash_ is not None else ""
        if self.seen.setdefault((self.scheme_dict[scheme], path), found) != found:
            raise ValueError(f"another wheel has {path} too, and not the same")
        return record

    def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
        data = script(module, attr, self.interpreter.rpartition("python")[2])
        return self.write_to_fs(cast("Scheme", "scripts"), name, io.BytesIO(data), is_executable=True)


class _Tree:
    """Wheels one after another, in a directory that stands for the image's root."""

    def __init__(self, root: Path, version: str, what: str) -> None:
        self._root = root
        self._version = version
        self._what = what
        self._seen: dict[tuple[str, str], str] = {}

    def add(self, source: WheelFile) -> None:
        source.validate_record()
        site = f"/{PREFIX}/lib/python{self._version}/site-packages"
        destination = _Destination(
            {
                "purelib": site,
                "platlib": site,
                "headers": f"/{PREFIX}/include/python{self._version}/{source.distribution}",
                "scripts": f"/{BIN}",
                "data": f"/{PREFIX}",
            },
            interpreter=f"/usr/bin/env python{self._version}",
            script_kind="posix",
            destdir=str(self._root),
            overwrite_existing=True,
            seen=self._seen,
        )
        with warnings.catch_warnings(action="ignore"):  # of bytecode that a wheel brings, which is left out
            install(source, destination, {"INSTALLER": INSTALLER})


def _metadata(source: WheelFile) -> Message:
    return parse_metadata_file(source.read_dist_info("METADATA"))


def _reading(wheel: Path, what: str, use: Callable[[WheelFile], _T]) -> _T:
    try:
        with WheelFile.open(wheel) as source:
            return use(source)
    except AssertionError as error:  # by which the library says that an entry point is none
        raise _unreadable(wheel, what, "its entry_points.txt names no module:function") from error
    except configparser.Error as error:
        raise _unreadable(wheel, what, f"its entry_points.txt: {error.message.splitlines()[0]}") from error
    except InstallerError as error:
        issues = getattr(error, "issues", None) or [error.args[-1] if error.args else error]
        raise _unreadable(wheel, what, "; ".join(map(str, issues)).replace(str(wheel), wheel.name)) from error
    except (ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise _unreadable(wheel, what, str(error)) from error


def _unreadable(wheel: Path, what: str, why: str) -> SourceError:
    return SourceError(f"{what}: {shown(wheel.name)} cannot be unpacked: {shown(why)}")
