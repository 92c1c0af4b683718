"""A workload as an engine will run it: every name, mount and label decided, nothing of an adapter's form yet.

Pure. Both adapters render this; what `parts` says of it decides whether a running container is up to date, so it
holds what the release says and nothing about the engine (an engine's upgrade restarts nothing).
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from bundler.model.graph import Healthcheck, Tmpfs
from bundler.model.observed import Host
from bundler.model.release import FileMount, Release, ReleaseJob, ReleaseService, Text
from targets import ownership
from targets.engine import delivery, texts
from targets.helper import MOUNT_PATH

IMAGE_MOUNT = "image-mount"
SUBPATH = "volume-subpath"
START_INTERVAL = "start-interval"
NVIDIA = "nvidia"
LOG_ROTATION = "log-rotation"
NO_MEMORY_LIMIT = "no-memory-limit"  # the engine drops limits without a word, as rootless ones on cgroup v1 do
NO_CPU_LIMIT = "no-cpu-limit"  # the engine makes no container with a limit
NO_COMPOSE = "no-compose"  # the docker program is missing here

MASTER_PORT = 29500  # torch's own default
START_INTERVAL_S = 0.5
PART_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Probe:
    """A health check as the engine runs it."""

    test: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A volume at `path`, or the one file `subpath` of it."""

    volume: str
    path: str
    read_only: bool
    subpath: str | None = None


@dataclass(frozen=True, slots=True)
class ImageMount:
    """The content of an image, read-only."""

    pin: str
    path: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of the files volume: its name there, where it is mounted, and its content as JSON."""

    name: str
    path: str
    mode: int
    content: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Container:
    """One workload. `spec` identifies it; `instances` are the copies that shall be there."""

    workload: ReleaseService | ReleaseJob
    pin: str
    reference: str
    environment: tuple[tuple[str, Text], ...]
    files_volume: str | None
    files: tuple[Placed, ...]
    volumes: tuple[VolumeMount, ...]
    images: tuple[ImageMount, ...]
    probe: Probe | None
    gpus: int
    instances: int
    restart: str  # "unless-stopped", "no", "on-failure"
    retries: int
    parts: Mapping[str, str]
    spec: str

    @property
    def job(self) -> bool:
        return isinstance(self.workload, ReleaseJob)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The network name of each instance: services share one, workers have their own."""
        name = self.workload.name
        if self.ranked:
            return tuple(ownership.worker(name, rank) for rank in range(self.instances))
        return (name,) * self.instances

    @property
    def ranked(self) -> bool:
        return isinstance(self.workload, ReleaseJob) and self.workload.ranked

    def rank_environment(self, rank: int) -> tuple[tuple[str, str], ...]:
        """What a worker reads to find the others; torch's names beside ours."""
        if not self.ranked:
            return ()
        master = self.nodes[0]
        given = {"RANK": rank, "WORLD_SIZE": self.instances, "MASTER_ADDR": master, "MASTER_PORT": MASTER_PORT}
        return tuple((prefix + key, str(value)) for prefix in ("BUNDLE_", "") for key, value in given.items())

    def labels(self, target: str, app: str) -> dict[str, str]:
        """What a container of this workload carries, but for its index."""
        labels = ownership.labels(target, app, self.workload.resource, self.spec)
        labels[ownership.IMAGE] = self.reference
        labels[ownership.PARTS] = ownership.canonical(dict(self.parts))
        if isinstance(self.workload, ReleaseService) and self.workload.doors:
            doors = {door.name: [door.bind, door.host_port] for door in self.workload.doors}
            labels[ownership.DOORS] = ownership.canonical(doors)
        return labels


def containers(release: Release, host: Host, pins: Mapping[str, str]) -> tuple[Container, ...]:
    """Every workload of the release; `pins` gives what the engine calls each image, by reference."""
    return tuple(_container(release, workload, host, pins) for workload in release.workloads)


def _container(
    release: Release, workload: ReleaseService | ReleaseJob, host: Host, pins: Mapping[str, str]
) -> Container:
    image = release.image(workload.image)
    identity = _identity(release, workload.image, host)
    revisions = {secret.name: secret.revision for secret in release.secrets}
    files = tuple(_placed(index, file) for index, file in enumerate(workload.files))
    files_volume = None
    volumes = [VolumeMount(ownership.volume(release.app, m.name), m.path, m.read_only) for m in workload.volumes]
    if files:
        content = _files_digest(workload, files, revisions, identity)
        files_volume = ownership.files_volume(release.app, workload.name, content)
        volumes += [VolumeMount(files_volume, file.path, True, file.name) for file in files]
    images = []
    for mount in workload.models:
        model = release.model(mount.name)
        if IMAGE_MOUNT in host.features:
            images.append(ImageMount(pins.get(model.reference, ""), mount.path))
        else:
            name = ownership.model_volume(release.app, model.name, model.image.digest.hex)
            volumes.append(VolumeMount(name, mount.path, True))
    probe = _probe(workload)
    if probe is not None and probe.test[1:2] == (MOUNT_PATH,):
        helper = ownership.helper_volume(release.app)
        volumes.append(VolumeMount(helper, posixpath.dirname(MOUNT_PATH), True))
    wanted_gpus = workload.resources.gpus
    job = isinstance(workload, ReleaseJob)
    retries = workload.retries if isinstance(workload, ReleaseJob) else 0
    parts = _parts(release, workload, files, revisions, identity, probe)
    return Container(
        workload=workload,
        pin=pins.get(image.reference, ""),
        reference=image.reference,
        environment=workload.environment,
        files_volume=files_volume,
        files=files,
        volumes=tuple(volumes),
        images=tuple(images),
        probe=probe,
        gpus=wanted_gpus.count if wanted_gpus and NVIDIA in host.features else 0,
        instances=instances(workload),
        restart="unless-stopped" if not job else "on-failure" if retries else "no",
        retries=retries,
        parts={name: ownership.digest(value, PART_DIGITS) for name, value in parts.items()},
        spec="sha256:" + ownership.digest(parts),
    )


def instances(workload: ReleaseService | ReleaseJob) -> int:
    """A published service has one instance, because its host port can only be given once."""
    if isinstance(workload, ReleaseJob):
        return max(1, workload.max_workers)
    return 1 if workload.doors else max(1, workload.min_instances)


def _identity(release: Release, image: str, host: Host) -> str:
    found = delivery.for_platform(release.image(image).platforms, host.platform)
    return str(found.config.digest) if found is not None else ""


def _placed(index: int, file: FileMount) -> Placed:
    content: dict[str, object]
    if isinstance(file.content, tuple):
        content = {"text": texts.text_json(file.content)}
    else:
        content = {"blob": delivery.descriptor_json(file.content)}
    return Placed(f"{index}-{posixpath.basename(file.path)}", file.path, 0o400 if file.secret else 0o444, content)


def _secrets_in_files(workload: ReleaseService | ReleaseJob) -> set[str]:
    return set(texts.secret_names(f.content for f in workload.files if isinstance(f.content, tuple)))


def _file_value(file: FileMount, placed: Placed, revisions: Mapping[str, str]) -> object:
    names = sorted(texts.secret_names([file.content])) if isinstance(file.content, tuple) else []
    return [placed.path, placed.mode, placed.content, [revisions[name] for name in names]]


def _files_digest(
    workload: ReleaseService | ReleaseJob, files: tuple[Placed, ...], revisions: Mapping[str, str], identity: str
) -> str:
    """Names the content and the owner: the user, or what the image makes of it."""
    values = [_file_value(file, placed, revisions) for file, placed in zip(workload.files, files, strict=True)]
    return ownership.digest([values, workload.user or identity])


def _probe(workload: ReleaseService | ReleaseJob) -> Probe | None:
    """The health check; where a service has none and asks for liveness, that one."""
    if isinstance(workload, ReleaseJob):
        return None
    check = workload.healthcheck or workload.liveness
    if check is None:
        return None
    return Probe(
        ("CMD", *_test(check, workload)), check.interval_s, check.timeout_s, check.retries, check.start_period_s
    )


def _test(check: Healthcheck, service: ReleaseService) -> tuple[str, ...]:
    if check.test is not None:
        return check.test
    port = check.port if check.port is not None else service.ports[0][1]
    timeout = str(max(1, math.floor(check.timeout_s)))
    if check.http is not None:
        return (MOUNT_PATH, "probe", "http", str(port), check.http, timeout)
    return (MOUNT_PATH, "probe", "tcp", str(port), timeout)


def _parts(
    release: Release,
    workload: ReleaseService | ReleaseJob,
    files: tuple[Placed, ...],
    revisions: Mapping[str, str],
    identity: str,
    probe: Probe | None,
) -> dict[str, object]:
    """All that makes the workload what it is, in the pieces a person would name."""
    arguments = [*(workload.entrypoint or ()), *(workload.command or ())]
    in_text = set(texts.secret_names([*(text for _, text in workload.environment), *arguments]))
    parts: dict[str, object] = {
        "image": identity,
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
    for placed in files:
        parts[f"file {placed.path}"] = [placed.mode, placed.content]
    for name in in_text | _secrets_in_files(workload):
        parts[f"secret {name}"] = revisions[name]
    if isinstance(workload, ReleaseService):
        parts["health check"] = (
            None
            if probe is None
            else [list(probe.test), probe.interval_s, probe.timeout_s, probe.retries, probe.start_period_s]
        )
        parts["front door"] = [[door.name, door.bind, door.host_port, door.port] for door in workload.doors]
    else:
        parts["workers"] = [instances(workload), workload.retries, workload.ranked]
    return parts


LOG_OPTIONS = (("max-size", "10m"), ("max-file", "3"))


def tmpfs_options(tmpfs: Tmpfs) -> str:
    """As Kubernetes has it: programs may run from it, everyone may write to it."""
    return f"rw,nosuid,nodev,exec,size={tmpfs.size_bytes},mode=1777"
