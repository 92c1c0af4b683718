"""A workload as an engine will run it: every name, mount and label decided, nothing of an adapter's form yet.

Pure. Both adapters render this; the digest of its parts, `spec`, decides whether a running container is up to date.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from bundler.model.graph import Tmpfs
from bundler.model.observed import Host
from bundler.model.release import FileMount, Release, ReleaseJob, ReleaseService, Text, Workload
from targets import ownership, ranks, texts
from targets.helper import MOUNT_PATH
from targets.parts import digests, file_mode, image_identity, parts_of
from targets.probes import Probe, probe

IMAGE_MOUNT = "image-mount"
SUBPATH = "volume-subpath"
START_INTERVAL = "start-interval"
NVIDIA = "nvidia"
LOG_ROTATION = "log-rotation"
NO_MEMORY_LIMIT = "no-memory-limit"  # the engine drops limits without a word, as rootless ones on cgroup v1 do
NO_CPU_LIMIT = "no-cpu-limit"  # the engine makes no container with a limit
NO_COMPOSE = "no-compose"  # the docker program is missing here

START_INTERVAL_S = 0.5


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

    workload: Workload
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
        if not self.ranked:
            return ()
        given = {ranks.RANK: str(rank)} | ranks.environment(self.instances, self.nodes[0])
        return tuple((prefix + key, value) for prefix in ranks.PREFIXES for key, value in given.items())

    def labels(self, target: str, app: str) -> dict[str, str]:
        """What a container of this workload carries, but for its index."""
        labels = ownership.labels(target, app, self.workload.resource, self.spec)
        labels[ownership.IMAGE] = self.reference
        labels[ownership.PARTS] = ownership.canonical(dict(self.parts))
        if self.doors:
            labels[ownership.DOORS] = ownership.canonical(self.doors)
        return labels

    @property
    def doors(self) -> dict[str, list[str | int]]:
        """Address and host port of each front door."""
        doors = self.workload.doors if isinstance(self.workload, ReleaseService) else ()
        return {door.name: [door.bind, door.host_port] for door in doors}


def containers(release: Release, host: Host, pins: Mapping[str, str]) -> tuple[Container, ...]:
    """Every workload of the release; `pins` gives what the engine calls each image, by reference."""
    return tuple(_container(release, workload, host, pins) for workload in release.workloads)


def _container(release: Release, workload: Workload, host: Host, pins: Mapping[str, str]) -> Container:
    image = release.image(workload.image)
    files = tuple(_placed(index, file) for index, file in enumerate(workload.files))
    files_volume = None
    volumes = [VolumeMount(ownership.volume(release.app, m.name), m.path, m.read_only) for m in workload.volumes]
    if files:
        content = _files_digest(release, workload, files, host)
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
    check = probe(workload)
    if check is not None and check.test[1:2] == (MOUNT_PATH,):
        helper = ownership.helper_volume(release.app)
        volumes.append(VolumeMount(helper, posixpath.dirname(MOUNT_PATH), True))
    wanted_gpus = workload.resources.gpus
    job = isinstance(workload, ReleaseJob)
    retries = workload.retries if isinstance(workload, ReleaseJob) else 0
    parts = parts_of(release, workload, host.platform)
    return Container(
        workload=workload,
        pin=pins.get(image.reference, ""),
        reference=image.reference,
        environment=workload.environment,
        files_volume=files_volume,
        files=files,
        volumes=tuple(volumes),
        images=tuple(images),
        probe=check,
        gpus=wanted_gpus.count if wanted_gpus and NVIDIA in host.features else 0,
        instances=instances(workload),
        restart="unless-stopped" if not job else "on-failure" if retries else "no",
        retries=retries,
        parts=digests(parts),
        spec="sha256:" + ownership.digest(parts),
    )


def instances(workload: Workload) -> int:
    """A published service has one instance, because its host port can only be given once."""
    if isinstance(workload, ReleaseJob):
        return max(1, workload.max_workers)
    return 1 if workload.doors else max(1, workload.min_instances)


def _placed(index: int, file: FileMount) -> Placed:
    name = f"{index}-{posixpath.basename(file.path)}"
    return Placed(name, file.path, file_mode(file), texts.content_json(file))


def _files_digest(release: Release, workload: Workload, files: tuple[Placed, ...], host: Host) -> str:
    """Names the content and the owner: the user, or what the image makes of it."""
    revisions = {secret.name: secret.revision for secret in release.secrets}
    values = [_file_value(file, placed, revisions) for file, placed in zip(workload.files, files, strict=True)]
    return ownership.digest([values, workload.user or image_identity(release, workload, host.platform)])


def _file_value(file: FileMount, placed: Placed, revisions: Mapping[str, str]) -> object:
    names = sorted(texts.secret_names([file.content])) if isinstance(file.content, tuple) else []
    return [placed.path, placed.mode, placed.content, [revisions[name] for name in names]]


LOG_OPTIONS = (("max-size", "10m"), ("max-file", "3"))


def tmpfs_options(tmpfs: Tmpfs) -> str:
    """As Kubernetes has it: programs may run from it, everyone may write to it."""
    return f"rw,nosuid,nodev,exec,size={tmpfs.size_bytes},mode=1777"
