"""A workload as the engine's container-create JSON, with names in the place of secrets. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bundler.model.observed import Host, Observed
from bundler.model.release import Release, ReleaseService
from targets import ownership
from targets.engine import workloads
from targets.engine.workloads import Container
from targets.texts import text_json

NS = 1_000_000_000
TARGET = "docker"


def names(release: Release, container: Container) -> tuple[str, ...]:
    """The containers' names, by index."""
    if container.job:
        return tuple(f"{release.app}-{node}" for node in container.nodes)
    return tuple(ownership.container(release.app, container.workload.name, i) for i in range(container.instances))


def payload(
    release: Release, wanted: tuple[Container, ...], container: Container, observed: Observed
) -> Mapping[str, object]:
    """What a step that brings this workload up needs: one body for all, and what each instance has of its own."""
    return {
        "app": release.app,
        "spec": container.spec,
        "job": container.job,
        "body": body(release, container, observed.host),
        "instances": [
            {
                "name": name,
                "index": index,
                "node": container.nodes[index],
                "environment": [list(pair) for pair in container.rank_environment(index)],
            }
            for index, name in enumerate(names(release, container))
        ],
    }


def body(release: Release, container: Container, host: Host) -> dict[str, object]:
    """`Env`, `Entrypoint` and `Cmd` hold texts as `texts.text_json` writes them; a mount with `VolumeFile` is one file
    of a volume, written for the engine's version when the step is applied."""
    workload = container.workload
    made: dict[str, object] = {
        "Image": container.pin,
        "Env": [[name, text_json(text)] for name, text in container.environment],
        "Labels": container.labels(TARGET, release.app),
        "StopTimeout": math.ceil(workload.stop_grace_period_s),
        "HostConfig": _host_config(release, container, host),
    }
    if workload.entrypoint is not None:
        made["Entrypoint"] = [text_json(text) for text in workload.entrypoint] or [""]  # "" undoes the image's
        made["Cmd"] = []  # the image's arguments belong to the image's entrypoint
    if workload.command is not None:
        made["Cmd"] = [text_json(text) for text in workload.command]
    if workload.working_dir is not None:
        made["WorkingDir"] = workload.working_dir
    if workload.user is not None:
        made["User"] = workload.user
    if workload.stop_signal is not None:
        made["StopSignal"] = workload.stop_signal
    probe = container.probe
    if probe is not None:
        health: dict[str, object] = {
            "Test": list(probe.test),
            "Interval": _ns(probe.interval_s),
            "Timeout": _ns(probe.timeout_s),
            "Retries": probe.retries,
            "StartPeriod": _ns(probe.start_period_s),
        }
        if workloads.START_INTERVAL in host.features:
            health["StartInterval"] = _ns(min(workloads.START_INTERVAL_S, probe.interval_s))
        made["Healthcheck"] = health
    else:
        made["Healthcheck"] = {"Test": ["NONE"]}  # the graph says what health is, not the image
    if isinstance(workload, ReleaseService) and workload.doors:
        made["ExposedPorts"] = {f"{door.port}/tcp": {} for door in workload.doors}
    return made


def _host_config(release: Release, container: Container, host: Host) -> dict[str, object]:
    workload, resources = container.workload, container.workload.resources
    made: dict[str, object] = {
        "NetworkMode": ownership.network(release.app),
        "RestartPolicy": {"Name": container.restart, "MaximumRetryCount": container.retries},
        "Mounts": _mounts(container),
    }
    if workload.read_only:
        made["ReadonlyRootfs"] = True
    if workload.init:
        made["Init"] = True
    if workload.cap_add:
        made["CapAdd"] = list(workload.cap_add)
    if workload.tmpfs:
        made["Tmpfs"] = {tmpfs.path: workloads.tmpfs_options(tmpfs) for tmpfs in workload.tmpfs}
    if resources.cpus is not None and workloads.NO_CPU_LIMIT not in host.features:
        made["NanoCpus"] = round(resources.cpus * NS)
    if resources.memory_bytes is not None:
        made["Memory"] = made["MemorySwap"] = resources.memory_bytes  # of both together: none on disk
    if resources.shm_bytes is not None:
        made["ShmSize"] = resources.shm_bytes
    if container.gpus:
        made["DeviceRequests"] = [{"Driver": "nvidia", "Count": container.gpus, "Capabilities": [["gpu"]]}]
    if workloads.LOG_ROTATION in host.features:
        made["LogConfig"] = {"Type": "json-file", "Config": dict(workloads.LOG_OPTIONS)}
    if isinstance(workload, ReleaseService) and workload.doors:
        ports: dict[str, list[dict[str, str]]] = {}
        for door in workload.doors:
            ports.setdefault(f"{door.port}/tcp", []).append({"HostIp": door.bind, "HostPort": str(door.host_port)})
        made["PortBindings"] = ports
    return made


def _mounts(container: Container) -> list[dict[str, object]]:
    mounts: list[dict[str, object]] = [
        {"Type": "image", "Source": image.pin, "Target": image.path} for image in container.images
    ]
    for volume in container.volumes:
        mount: dict[str, object] = {
            "Type": "volume",
            "Source": volume.volume,
            "Target": volume.path,
            "ReadOnly": volume.read_only,
        }
        if volume.subpath is not None:
            mount["VolumeFile"] = volume.subpath
        else:
            mount["VolumeOptions"] = {"NoCopy": True}
        mounts.append(mount)
    return mounts


def _ns(seconds: float) -> int:
    return round(seconds * NS)
