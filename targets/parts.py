"""What makes a workload what it is, in the pieces a person would name. Pure.

Whether what runs is up to date is decided by digests of these parts, and the cause of a replacement is told in their
words. They hold what the release says and nothing about an engine or a cluster: no upgrade of either restarts anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bundler.model.bundle import for_platform
from bundler.model.oci import Platform
from bundler.model.release import FileMount, Release, ReleaseService, Workload
from targets import ownership, texts
from targets.probes import probe

DIGITS = 16


def parts_of(release: Release, workload: Workload, host: Platform) -> dict[str, object]:
    """All parts of a workload that runs on `host`, by name."""
    revisions = {secret.name: secret.revision for secret in release.secrets}
    in_files = [file.content for file in workload.files if isinstance(file.content, tuple)]
    arguments = [*(workload.entrypoint or ()), *(workload.command or ())]
    in_text = [text for _, text in workload.environment]
    made: dict[str, object] = {
        "image": image_identity(release, workload, host),
        "entrypoint": None if workload.entrypoint is None else [texts.text_json(t) for t in workload.entrypoint],
        "command": None if workload.command is None else [texts.text_json(t) for t in workload.command],
        "environment": [[name, texts.text_json(text)] for name, text in workload.environment],
        "volumes": [[m.name, m.path, m.read_only] for m in workload.volumes],
        "models": [[str(release.model(m.name).image.digest), m.path] for m in workload.models],
        "settings": [
            workload.working_dir,
            workload.user,
            workload.read_only,
            workload.init,
            list(workload.cap_add),
            workload.stop_signal,
            workload.stop_grace_period_s,
            [[t.path, t.size_bytes] for t in workload.tmpfs],
        ],
        "resources": [
            workload.resources.cpus,
            workload.resources.memory_bytes,
            workload.resources.shm_bytes,
            [workload.resources.gpus.count, workload.resources.gpus.required] if workload.resources.gpus else None,
        ],
    }
    for file in workload.files:
        made[f"file {file.path}"] = [file_mode(file), texts.content_json(file)]
    for name in set(texts.secret_names([*in_text, *arguments, *in_files])):
        made[f"secret {name}"] = revisions[name]
    if isinstance(workload, ReleaseService):
        check = probe(workload)
        made["health check"] = (
            None
            if check is None
            else [list(check.test), check.interval_s, check.timeout_s, check.retries, check.start_period_s]
        )
        made["front door"] = [[door.name, door.bind, door.host_port, door.port] for door in workload.doors]
    else:
        made["workers"] = [max(1, workload.max_workers), workload.retries, workload.ranked]
    return made


def digests(parts: Mapping[str, object]) -> dict[str, str]:
    """What a label keeps of the parts."""
    return {name: ownership.digest(value, DIGITS) for name, value in parts.items()}


def image_identity(release: Release, workload: Workload, host: Platform) -> str:
    found = for_platform(release.image(workload.image).platforms, host)
    return str(found.config.digest) if found is not None else ""


def file_mode(file: FileMount) -> int:
    return 0o400 if file.secret else 0o444


def changes(before: str, after: Mapping[str, str]) -> str:
    """What differs, in the words of the parts: "image changed", "environment, file /etc/x changed"."""
    try:
        old = json.loads(before)
    except ValueError:
        old = None
    if not isinstance(old, dict):
        return "specification changed"
    names = sorted(name for name in old.keys() | after.keys() if old.get(name) != after.get(name))
    return f"{', '.join(names)} changed" if names else "specification changed"
