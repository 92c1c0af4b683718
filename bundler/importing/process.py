"""How a program of a service runs -> the graph's words: arguments, user, resources, scale, and how it ends."""

from __future__ import annotations

import re
import shlex
from typing import Any

from bundler.graphfile import forms
from bundler.graphfile.atoms import CAPABILITIES
from bundler.importing.project import Data, as_list, as_map, natural, truth
from bundler.importing.report import Report

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_GO = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MAX_KIB = 999_999_999
_MAX_HOURS = 999_999
_MAX_CPUS = 100_000
_MAX_GPUS = 1000
_MAX_SCALE = 1000
MAX_RETRIES = 1000
MAX_ARGUMENT = 1 << 16  # characters, as in a graph
_LIMITS = ("cpus", "mem_limit", "memory", "shm_size")
_NO_LIMIT = re.compile(r"0+(?:\.0*)?\s*[bkmgt]?i?b?", re.IGNORECASE)


def words(text: str) -> list[str] | None:
    """A command line as the list it means; None where a quote is left open."""
    try:
        return shlex.split(text)
    except ValueError:
        return None


def size(value: Any) -> str | None:
    """`512m`, `2gb` or a number of bytes as a size of the graph; None for what is none."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)i?b?", str(value).strip().lower())
    if not found:
        return None
    kib = -(-int(float(found[1]) * _UNITS[found[2]]) // 1024)
    return forms.written_size(kib * 1024) if 0 < kib <= _MAX_KIB else None


def duration(value: Any) -> str | None:
    """`1m30s` or `1.5s` as a duration of the graph; None for what is none."""
    text = str(value).strip()
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|us|ns|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    duration_s = sum(float(number) * _GO[unit] for number, unit in parts)
    return forms.written_duration(duration_s) if duration_s <= _MAX_HOURS * 3600 else None


def process(service: Data, where: str, report: Report, *, job: bool) -> Data:
    """The keys that are neither texts, addresses nor mounts. What is settled of the service is settled already."""
    made: Data = {}
    _user(service, made, where, report)
    if directory := str(service.get("working_dir") or ""):
        directory = directory if directory == "/" else directory.rstrip("/")
        if re.fullmatch(forms.DIRECTORY, directory):
            made["working_dir"] = directory
        else:
            report.refused(f"{where}.working_dir", f"{directory} is no path that a program can start in")
    for key in ("read_only", "init"):
        if truth(service.get(key)):
            made[key] = True
        elif truth(service.get(key, False)) is None:
            report.refused(f"{where}.{key}", f"{service[key]} is neither true nor false")
    if tmpfs := _tmpfs(service, where, report):
        made["tmpfs"] = tmpfs
    if caps := _capabilities(service, where, report):
        made["cap_add"] = caps
    _tightened(service, where, report)
    if signal := str(service.get("stop_signal") or ""):
        signal = signal if signal.startswith("SIG") else f"SIG{signal}"
        if re.fullmatch(forms.SIGNAL, signal):
            made["stop_signal"] = signal
        else:
            report.refused(f"{where}.stop_signal", f"{signal} is no signal that a graph knows")
    if "stop_grace_period" in service:
        if found := duration(service["stop_grace_period"]):
            made["stop_grace_period"] = found
        else:
            report.refused(f"{where}.stop_grace_period", f"{service['stop_grace_period']} is no duration")
    if resources := _resources(service, where, report):
        made["resources"] = resources
    _scale(service, made, where, report, job=job)
    _restart(service, made, where, report, job=job)
    return made


def _user(service: Data, made: Data, where: str, report: Report) -> None:
    user = str(service.get("user") or "")
    name, _, group = user.partition(":")
    if not user.strip(":"):
        if "user" in service:
            report.left_out(f"{where}.user", "nothing sets it here, so it is the image's")
    elif re.fullmatch(forms.USER, user):
        made["user"] = user
    elif re.fullmatch(forms.USER, name) and (group in ("", name) or not group.isdigit()):
        made["user"] = name
        report.changed(f"{where}.user", f"{name} alone; its group is the one that the image gives it")
    else:
        report.refused(f"{where}.user", f"{user} is neither a uid, uid:gid nor a user of the image")


def _tmpfs(service: Data, where: str, report: Report) -> list[Any]:
    made: list[Any] = []
    for entry in as_list(service.get("tmpfs")):
        path, _, options = str(entry).partition(":")
        limit = next((each[5:] for each in options.split(",") if each.startswith("size=")), None)
        others = [each for each in options.split(",") if each and not each.startswith("size=")]
        if others:
            report.left_out(f"{where}.tmpfs", f"{', '.join(others)}: a tmpfs of a graph has a size and no other option")
        path = path.rstrip("/")
        if not re.fullmatch(forms.CONTAINER_PATH, path):
            report.refused(f"{where}.tmpfs", f"{entry} is no path that a graph can mount at")
            continue
        if limit and not size(limit):
            report.refused(f"{where}.tmpfs", f"{limit} is no size")
        made.append({"path": path, "size": size(limit)} if limit and size(limit) else path)
    return made


def _capabilities(service: Data, where: str, report: Report) -> list[str]:
    made = []
    for entry in as_list(service.get("cap_add")):
        name = str(entry).upper().removeprefix("CAP_")
        if name in CAPABILITIES:
            made.append(name)
        else:
            report.refused(f"{where}.cap_add", f"{name}: a graph names single capabilities")
    return list(dict.fromkeys(made))


def _tightened(service: Data, where: str, report: Report) -> None:
    """What Compose takes away from a program that may be root."""
    root = str(service.get("user") or "0").partition(":")[0] in ("0", "root")
    for key in ("cap_drop", "security_opt"):
        entries = [str(each) for each in as_list(service.get(key))]
        less = key == "cap_drop" or any(re.fullmatch("no-new-privileges([:=]true)?", each) for each in entries)
        if entries and root and less:
            told = (
                f"{', '.join(entries)}: a graph takes nothing away, so as root the program may do more here than there"
            )
            report.changed(f"{where}.{key}", f"{told}; say a user other than root")
        elif key in service:
            report.left_out(f"{where}.{key}", "what a program may do is said by user, read_only and cap_add")


def _resources(service: Data, where: str, report: Report) -> Data:
    deploy = as_map(service.get("deploy"))
    resources = as_map(deploy.get("resources"))
    limits, reserved = as_map(resources.get("limits")), as_map(resources.get("reservations"))
    service, limits = _limited(service, where, report), _limited(limits, f"{where}.deploy.resources.limits", report)
    made: Data = {}
    asked = service.get("cpus") or limits.get("cpus")
    if cpus := _cpus(asked):
        made["cpus"] = cpus
    elif asked is not None:
        report.refused(where, f"{asked} is no number of CPUs")
    for key, value in (("memory", service.get("mem_limit") or limits.get("memory")), ("shm", service.get("shm_size"))):
        if value is None:
            continue
        if text := size(value):
            made[key] = text
        else:
            report.refused(where, f"{value} is no size")
    if gpus := _gpus(service, reserved, where, report):
        made["gpus"] = gpus
    return made


def _limited(data: Data, where: str, report: Report) -> Data:
    """Without limits of 0, which are none in Compose."""
    none = [key for key in _LIMITS if _NO_LIMIT.fullmatch(str(data.get(key)))]
    for key in none:
        report.left_out(f"{where}.{key}", f"{data[key]} is no limit")
    return {key: value for key, value in data.items() if key not in none}


def _gpus(service: Data, reserved: Data, where: str, report: Report) -> int:
    gpus = [{"count": "all"} if each == "all" else as_map(each) for each in as_list(service.get("gpus"))]
    devices = [*gpus, *map(as_map, as_list(reserved.get("devices")))]
    asked = []
    for index, device in enumerate(devices):
        gpu = index < len(gpus) or "gpu" in as_list(device.get("capabilities"))
        if gpu and device.get("driver") in (None, "nvidia"):
            asked.append(device)
        else:
            place = f"{where}.gpus" if index < len(gpus) else f"{where}.deploy.resources"
            report.refused(place, "devices that are no GPUs of nvidia are the machine's")
    runtime = service.get("runtime")
    if runtime == "nvidia" and not asked:
        asked.append({"count": "all"})
    elif runtime is not None and runtime != "nvidia":
        report.left_out(f"{where}.runtime", "the runtime is the target's")
    total = 0
    for device in asked:
        ids, count = as_list(device.get("device_ids")), natural(device.get("count", "all"), _MAX_GPUS)
        if ids:
            report.changed(where, f"as many GPUs as there are device_ids, {len(ids)}, and not just those")
        elif count is None:
            report.changed(where, "one GPU for all of them: not every target can give all")
        total += len(ids) or (1 if count is None else count)
    return total


def _scale(service: Data, made: Data, where: str, report: Report, *, job: bool) -> None:
    asked = service.get("scale") or as_map(service.get("deploy")).get("replicas")
    if asked is None:
        return
    count = natural(asked, _MAX_SCALE)
    if job or count is None:
        report.refused(f"{where}.deploy.replicas", f"{asked} of it: a job has workers, a service scale: {{min, max}}")
    elif count == 0:
        report.changed(f"{where}.deploy.replicas", "none of it in Compose, one here: leave it out in a variant")
    elif count > 1:
        made["scale"] = {"min": count, "max": count}


def _restart(service: Data, made: Data, where: str, report: Report, *, job: bool) -> None:
    policy, _, times = str(service.get("restart") or "").partition(":")
    if job and policy == "on-failure":
        made["retries"] = natural(times, MAX_RETRIES) or 3
        report.changed(f"{where}.restart", f"a run that fails is repeated {made['retries']} times")
    elif job and policy in ("always", "unless-stopped"):
        report.changed(f"{where}.restart", "others wait for its end, so it is a job, which is not started again")
    elif policy in ("no", "false", "on-failure") and not job:
        told = "services always restart; if it ends by itself, move it to jobs with run: upgrade"
        report.changed(f"{where}.restart", f"{policy}: {told}")
    elif policy not in ("", "no", "false", "always", "unless-stopped", "on-failure"):
        report.refused(f"{where}.restart", f"{policy} is no policy of Compose")


def _cpus(value: Any) -> float | int | None:
    try:
        number = round(float(str(value)), 3)
    except ValueError:
        return None
    return (int(number) if number.is_integer() else number) if 0 < number <= _MAX_CPUS else None
