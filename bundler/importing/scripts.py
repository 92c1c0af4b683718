"""Scripts that are packed as configs, which nobody may execute: they are run by their interpreters."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from bundler.importing.project import Data, Files
from bundler.importing.report import Report

_SHEBANG = re.compile(r"#!\s*(?:/usr/bin/env\s+)?(?:/[^\s]*/)?([a-z0-9.]+)")


def found(source: str, path: str, files: Files) -> dict[str, str]:
    """Path in the container -> what runs it, of the scripts in a file or folder that is mounted there."""
    made = {}
    for name in files.names(source):
        shebang = _SHEBANG.match(files.text(posixpath.join(source, name) if name else source) or "")
        if shebang:
            made[posixpath.join(path, name) if name else path] = shebang[1]
    return made


def run_by_interpreters(service: Data, scripts: Mapping[str, str], name: str, report: Report) -> None:
    """Write the interpreter before each script that the service runs."""
    check = service.get("healthcheck", {})
    for where, arguments in (
        ("healthcheck.test", check.get("test")),
        ("entrypoint", service.get("entrypoint")),
        ("command", None if "entrypoint" in service else service.get("command")),
    ):
        if not arguments:
            continue
        line = arguments[2] if arguments[:2] == ["sh", "-c"] and len(arguments) == 3 else arguments[0]
        script = line.split(" ")[0]
        if script not in scripts:
            continue
        if line is arguments[0]:
            arguments.insert(0, scripts[script])
        else:
            arguments[2] = f"{scripts[script]} {line}"
        told = f"{script} is run by {scripts[script]}, because configs are not executable"
        report.changed(f"services.{name}.{where}", told)
