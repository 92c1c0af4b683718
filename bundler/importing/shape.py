"""What form each key of a file and of a service may have; what has another one is refused where it stands, so that
nobody else has to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bundler.errors import Position, UsageError
from bundler.importing.project import REPLACED
from bundler.importing.report import Report
from bundler.importing.scalars import ALONE, Unquoted

Data = dict[str, Any]
At = Callable[[tuple[str, ...]], Position]  # where in its file the value at a path stands
_TEXT, _FLAG, _MAP = "text", "true or false", "a map"
_TEXTS = "a list of texts"
_ENTRIES = "a list of texts and maps"
_PAIRS = "a map of texts"
_MAPS = "a map of maps"
SECTIONS = ("services", "volumes", "networks", "configs", "secrets")

FORMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "image",
            "user",
            "working_dir",
            "stop_signal",
            "stop_grace_period",
            "mem_limit",
            "cpus",
            "shm_size",
            "runtime",
        ),
        (_TEXT,),
    ),
    **dict.fromkeys(("runtime", "scale", "container_name", "hostname", "network_mode", "pid", "ipc"), (_TEXT,)),
    **dict.fromkeys(("read_only", "init", "restart"), (_TEXT, _FLAG)),
    **dict.fromkeys(("command", "entrypoint", "tmpfs"), (_TEXT, _TEXTS)),
    **dict.fromkeys(("expose", "volumes_from", "cap_add", "profiles", "links"), (_TEXTS,)),
    **dict.fromkeys(("ports", "volumes", "configs", "secrets"), (_ENTRIES,)),
    **dict.fromkeys(("environment", "extra_hosts"), (_PAIRS, _TEXTS)),
    **dict.fromkeys(("depends_on", "networks"), (_MAPS, _TEXTS)),
    **dict.fromkeys(("healthcheck", "deploy"), (_MAP,)),
    **dict.fromkeys(("build", "extends"), (_TEXT, _MAP)),
    **dict.fromkeys(("gpus", "env_file"), (_TEXT, _ENTRIES)),
}
_COUNTS = ("cpus", "mem_limit", "shm_size", "scale", "expose", "ports")  # no texts alone
_FLAGS = ("read_only", "init")


def shaped(data: Data, at: At, report: Report) -> Data:
    """A file's data without what has no form that Compose has. UsageError where its services are no map."""
    made = dict(data)
    for section in SECTIONS:
        named = data.get(section)
        if named is None:
            continue
        if not isinstance(named, dict):
            if section == "services":
                raise UsageError(f"{at((section,))}: services: expected {_MAPS}", hint="services: {NAME: {image: …}}")
            report.refused(section, f"expected {_MAPS}, at {at((section,))}")
            del made[section]
            continue
        made[section] = {}
        for name, part in named.items():
            if part is not None and not isinstance(part, dict):
                report.refused(f"{section}.{name}", f"expected {_MAP}, at {at((section, name))}")
            else:
                made[section][name] = _service(name, part or {}, at, report) if section == "services" else part
                if section == "configs" and part and "content" in part:
                    text = _as_written(part["content"], f"configs.{name}.content", report)
                    made[section][name] = {**part, "content": text}
    if not isinstance(data.get("name", ""), str):
        report.refused("name", f"expected {_TEXT}, at {at(('name',))}")
        del made["name"]
    return {**made, "name": _as_written(made["name"], "name", report)} if "name" in made else made


def _service(name: str, service: Data, at: At, report: Report) -> Data:
    """A key without a value is none, where it does not take away what a service has from elsewhere."""
    path, where = ("services", name), f"services.{name}"
    made: Data = {}
    for key, value in service.items():
        forms = FORMS.get(key)
        if value is None:
            made |= {key: None} if key in REPLACED else {}
            continue
        if forms is None or any(_has(value, form) for form in forms):
            texts = forms is not None and not {_PAIRS, _MAP}.intersection(forms) and key not in (*_COUNTS, *_FLAGS)
            made[key] = _as_written(value, f"{where}.{key}", report) if texts else value
        else:
            report.refused(f"{where}.{key}", f"expected {' or '.join(forms)}, at {at((*path, key))}")
    check = made.get("healthcheck", {})
    if not any(_has(check.get("test", ""), form) for form in (_TEXT, _TEXTS)):
        place = at((*path, "healthcheck", "test"))
        report.refused(f"{where}.healthcheck.test", f"expected {_TEXT} or {_TEXTS}, at {place}")
        del made["healthcheck"]
    elif "test" in check:
        made["healthcheck"] = {**check, "test": _as_written(check["test"], f"{where}.healthcheck.test", report)}
    return made


def _as_written(value: Any, where: str, report: Report) -> Any:
    """Texts, for which Compose takes no number: as they stand."""
    if isinstance(value, list):
        return [_as_written(part, where, report) for part in value]
    if isinstance(value, Unquoted):
        report.changed(where, ALONE)
        return value.written
    return value


def _has(value: Any, form: str) -> bool:
    match form:
        case "text":
            return isinstance(value, str)
        case "true or false":
            return isinstance(value, bool)
        case "a map":
            return isinstance(value, dict)
        case "a list of texts":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case "a list of texts and maps":
            return isinstance(value, list) and all(isinstance(each, str | dict) for each in value)
        case "a map of texts":
            return isinstance(value, dict) and all(
                each is None or isinstance(each, str | bool) for each in value.values()
            )
        case _:
            return isinstance(value, dict) and all(each is None or isinstance(each, dict) for each in value.values())
