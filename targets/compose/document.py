"""A release as one Compose document that a person can read and keep. Pure.

Networks and volumes are external: they are made, filled and removed as on the docker target, so both see the same.
Texts are written with every `$` doubled; a secret appears as `${BUNDLE_SECRET_…}`, which only the process that runs
`docker compose` gives a value. Every service has `pull_policy: never` and an image by its digest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bundler.model.observed import Host, Observed
from bundler.model.release import Release, ReleaseService, Text
from targets import ownership, texts
from targets.engine import workloads
from targets.engine.workloads import Container

TARGET = "compose"
VOLUMES = "BUNDLE_VOLUMES"  # where an engine without volume subpaths keeps its volumes
JOBS = "jobs"

Document = dict[str, object]


def names(release: Release, container: Container) -> tuple[str, ...]:
    """Compose's own names of the containers."""
    if container.job:
        return tuple(f"{release.app}-{node}-1" for node in container.nodes)
    return tuple(f"{release.app}-{container.workload.name}-{number}" for number in range(1, container.instances + 1))


def payload(
    release: Release, wanted: tuple[Container, ...], container: Container, observed: Observed
) -> Mapping[str, object]:
    """The whole document, and the services of it that one step brings up."""
    variables = texts.secret_variables(release)
    used = texts.secrets_in_texts(release)
    return {
        "app": release.app,
        "spec": container.spec,
        "job": container.job,
        "document": document(release, wanted, observed.host),
        "services": list(dict.fromkeys(container.nodes)),
        "secrets": {
            variable: {"secret": name, "encoded": encoded}
            for (name, encoded), variable in variables.items()
            if (name, encoded) in used
        },
    }


def document(release: Release, wanted: tuple[Container, ...], host: Host) -> Document:
    variables = texts.secret_variables(release)
    services: Document = {}
    for container in sorted(wanted, key=lambda one: (one.job, one.workload.name)):
        for index, node in enumerate(container.nodes):
            services.setdefault(node, _service(release, container, index, host, variables))
    volumes = sorted({mount.volume for container in wanted for mount in container.volumes})
    made: Document = {
        "name": release.app,
        "services": services,
        "networks": {"default": {"name": ownership.network(release.app), "external": True}},
    }
    if volumes:
        made["volumes"] = {name: {"name": name, "external": True} for name in volumes}
    return made


def _text(text: Text, variables: Mapping[tuple[str, bool], str]) -> str:
    return "".join(
        _literal(part) if isinstance(part, str) else f"${{{variables[part.name, part.encoded]}?}}" for part in text
    )


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _service(
    release: Release, container: Container, index: int, host: Host, variables: Mapping[tuple[str, bool], str]
) -> Document:
    """The keys in the order in which people read them: what runs, with what, how it is reached, how it lives."""
    workload, resources = container.workload, container.workload.resources
    made: Document = {"image": container.pin, "pull_policy": "never"}
    if container.job:
        made["profiles"] = [JOBS]
    if workload.entrypoint is not None:
        made["entrypoint"] = [_text(text, variables) for text in workload.entrypoint]
        made["command"] = []  # the image's arguments belong to the image's entrypoint
    if workload.command is not None:
        made["command"] = [_text(text, variables) for text in workload.command]
    if workload.working_dir is not None:
        made["working_dir"] = workload.working_dir
    if workload.user is not None:
        made["user"] = workload.user
    environment = {name: _text(text, variables) for name, text in container.environment}
    environment |= {name: _literal(value) for name, value in container.rank_environment(index)}
    if environment:
        made["environment"] = environment
    made["hostname"] = container.nodes[index]
    if isinstance(workload, ReleaseService) and workload.doors:
        made["ports"] = [
            {"target": door.port, "published": str(door.host_port), "host_ip": door.bind, "protocol": "tcp"}
            for door in workload.doors
        ]
    if mounts := _mounts(container, host):
        made["volumes"] = mounts
    if workload.tmpfs:
        made["tmpfs"] = [f"{tmpfs.path}:{workloads.tmpfs_options(tmpfs)}" for tmpfs in workload.tmpfs]
    if workload.read_only:
        made["read_only"] = True
    if workload.init:
        made["init"] = True
    if workload.cap_add:
        made["cap_add"] = list(workload.cap_add)
    if resources.cpus is not None and workloads.NO_CPU_LIMIT not in host.features:
        made["cpus"] = resources.cpus
    if resources.memory_bytes is not None:
        made["mem_limit"] = made["memswap_limit"] = resources.memory_bytes  # of both together: none on disk
    if resources.shm_bytes is not None:
        made["shm_size"] = resources.shm_bytes
    if container.gpus:
        made["gpus"] = [{"driver": "nvidia", "count": container.gpus}]
    made["healthcheck"] = _healthcheck(container, host)
    made["restart"] = f"on-failure:{container.retries}" if container.retries else container.restart
    if workload.stop_signal is not None:
        made["stop_signal"] = workload.stop_signal
    made["stop_grace_period"] = f"{math.ceil(workload.stop_grace_period_s)}s"
    if not container.job and container.instances > 1:
        made["scale"] = container.instances
    if workloads.LOG_ROTATION in host.features:
        made["logging"] = {"driver": "json-file", "options": dict(workloads.LOG_OPTIONS)}
    labels = container.labels(TARGET, release.app)
    if container.job:
        labels[ownership.INDEX] = str(index)
    made["labels"] = {name: _literal(value) for name, value in sorted(labels.items())}
    return made


def _healthcheck(container: Container, host: Host) -> Document:
    probe = container.probe
    if probe is None:
        return {"disable": True}  # the graph says what health is, not the image
    made: Document = {
        "test": [_literal(word) for word in probe.test],
        "interval": _duration(probe.interval_s),
        "timeout": _duration(probe.timeout_s),
        "retries": probe.retries,
        "start_period": _duration(probe.start_period_s),
    }
    if workloads.START_INTERVAL in host.features:
        made["start_interval"] = _duration(min(workloads.START_INTERVAL_S, probe.interval_s))
    return made


def _mounts(container: Container, host: Host) -> list[Document]:
    mounts: list[Document] = [
        {"type": "image", "source": image.pin, "target": _literal(image.path), "read_only": True}
        for image in container.images
    ]
    for volume in container.volumes:
        mount: Document = {"type": "volume", "source": volume.volume, "target": _literal(volume.path)}
        if volume.read_only:
            mount["read_only"] = True
        if volume.subpath is None:
            mount["volume"] = {"nocopy": True}
        elif workloads.SUBPATH in host.features:
            mount["volume"] = {"nocopy": True, "subpath": _literal(volume.subpath)}
        else:
            mount |= {"type": "bind", "source": f"${{{VOLUMES}}}/{volume.volume}/_data/{_literal(volume.subpath)}"}
        mounts.append(mount)
    return mounts


def _duration(seconds: float) -> str:
    """Compose's spelling; whole milliseconds."""
    return f"{seconds:g}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"
