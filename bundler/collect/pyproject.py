"""A Python project on disk: which of its files are packed, what it pins, and what runs. Reads its pyproject.toml and
its requirements.txt, and runs nothing of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bundler.collect import requirements, wheels
from bundler.collect.output import Output
from bundler.collect.paths import SourceFile, SourceTree, read_file, shown
from bundler.collect.pythonimage import BIN, PLACE
from bundler.collect.requirements import Lock
from bundler.collect.treelayer import Entry
from bundler.errors import SourceError
from bundler.model.graph import PythonBuild

WHEELS = "wheels"
MAX_TEXT_BYTES = 8 << 20
_LOCKS = {
    "uv.lock": f"uv export --no-dev --no-emit-project -o {requirements.FILE}",
    "poetry.lock": f"poetry self add poetry-plugin-export && poetry export -o {requirements.FILE}",
    "pdm.lock": f"pdm export --prod -o {requirements.FILE}",
}
_SCRIPT = re.compile(r"\s*([A-Za-z_][\w.]*)\s*:\s*([A-Za-z_][\w.]*)\s*(?:\[.*\])?\s*", re.ASCII)
_SCRIPT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Project:
    """`files` are packed, `wheels` lie beside them for builds without a network (None: there is no such folder).
    `locking` is how to write its lock anew. `required` is its requires-python, `needs` are the requirements of the
    project itself; `scripts` its programs as (name, module, attribute)."""

    files: tuple[SourceFile, ...]
    wheels: Path | None
    lock: Lock
    locking: str
    required: str
    needs: tuple[str, ...]
    scripts: tuple[tuple[str, str, str], ...]

    @property
    def import_path(self) -> str:
        """Where its packages are in the image."""
        sources = any(file.path.startswith("src/") for file in self.files)
        package = any(file.path == "src/__init__.py" for file in self.files)
        return f"/{PLACE}/src" if sources and not package else f"/{PLACE}"

    def program(self, version: str) -> tuple[str, ...] | None:
        """What runs where nothing else is said: its one script, else its one package with a __main__."""
        if len(self.scripts) == 1:
            return (f"python{version}", f"/{BIN}/{self.scripts[0][0]}")
        top = PurePosixPath(self.import_path).relative_to(f"/{PLACE}")
        mains = [
            path.parent.name
            for path in (PurePosixPath(file.path) for file in self.files)
            if path.name == "__main__.py" and path.parent.parent == top and path.parent != top
        ]
        return (f"python{version}", "-m", mains[0]) if len(mains) == 1 and not self.scripts else None

    def entries(self, version: str) -> tuple[Entry, ...]:
        """The application's layer."""
        files = [Entry(f"{PLACE}/{file.path}", file, bool(file.real.stat().st_mode & 0o100)) for file in self.files]
        programs = [
            Entry(f"{BIN}/{name}", wheels.script(module, attribute, version), executable=True)
            for name, module, attribute in self.scripts
        ]
        return (*files, *programs)


def listing(tree: SourceTree, folder: str, what: str, output: Output | None = None) -> tuple[SourceFile, ...]:
    """Every file that decides what is packed, sorted by path: no hidden ones, no bytecode, no virtual environment and
    nothing that builds leave at `output`."""
    top = tree.locate(folder, what)
    if not top.is_dir():
        raise SourceError(f"{what}: {shown(folder)} is not a directory")

    def left_out(directory: Path, name: str) -> bool:
        return (
            name.startswith(".")
            or name == "__pycache__"
            or name.endswith((".pyc", ".pyo"))
            or (directory / name / "pyvenv.cfg").is_file()
            or (output is not None and output.left_out(directory, name))
        )

    return tuple(tree.walk(top, what, left_out=left_out))


def read(tree: SourceTree, build: PythonBuild, what: str, output: Output | None = None) -> Project:
    """Raises SourceError for what is not there, not pinned, or cannot be packed."""
    folder = build.project
    found = listing(tree, folder, what, output)
    by_path = {file.path: file for file in found}
    document = _pyproject(by_path.get("pyproject.toml"), what)
    required = requirements.required_python(document, what)
    requirements.require_python(required, build.version, what)
    needs = requirements.of_project(document, what)
    stated = bool(needs) or requirements.elsewhere(document)
    exported = next((how for name, how in _LOCKS.items() if name in by_path), None)
    loose, whole = (
        exported or requirements.locking(by_path, build.version, stated=stated, loose=one) for one in (True, False)
    )
    locked = by_path.get(requirements.FILE)
    source = requirements.SOURCE if requirements.SOURCE in by_path else "pyproject.toml"
    if locked is None and source not in by_path:
        raise SourceError(
            f"{what}: {shown(folder)} holds no pyproject.toml and no {requirements.FILE}",
            hint=f"an empty {requirements.FILE} says that it needs no package",
        )
    if locked is None and (stated or exported or source == requirements.SOURCE):
        raise SourceError(f"{what}: there is no {requirements.FILE} that pins what {source} needs", hint=whole)
    lock = requirements.parse(_text(locked, what) if locked is not None else "", what, loose)
    wheelhouse = tree.locate(folder, what) / WHEELS
    return Project(
        tuple(file for file in found if PurePosixPath(file.path).parts[0] != WHEELS),
        wheelhouse if wheelhouse.is_dir() else None,
        lock,
        whole,
        required,
        needs,
        _scripts(document, what),
    )


def _pyproject(file: SourceFile | None, what: str) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(_text(file, what))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourceError(f"{what}: pyproject.toml is no TOML: {error}", hint="mend it there") from error


def _scripts(document: Mapping[str, Any], what: str) -> tuple[tuple[str, str, str], ...]:
    project = document.get("project")
    table = project.get("scripts") if isinstance(project, dict) else None
    found = []
    for name, text in sorted(table.items()) if isinstance(table, dict) else ():
        parts = _SCRIPT.fullmatch(text) if isinstance(text, str) else None
        if parts is None or not _SCRIPT_NAME.fullmatch(name):
            raise SourceError(
                f"{what}: the script {shown(name)} of pyproject.toml is no entry point",
                hint="write NAME = 'module:function'",
            )
        found.append((name, parts[1], parts[2]))
    return tuple(found)


def _text(file: SourceFile, what: str) -> str:
    try:
        return read_file(file, what, limit_bytes=MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{what}: {shown(file.path)} is not UTF-8 (byte {error.start})", hint="save it as UTF-8"
        ) from error
