"""A workload as a pod: containers, mounts, probes, security. Pure.

Every `$` of the release is doubled where Kubernetes would expand it; secrets come in by reference to a Secret.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundler.model.graph import Healthcheck
from bundler.model.release import Release, ReleaseJob, ReleaseService, SecretPart, Text, Workload
from targets import ranks
from targets.helper import MOUNT_PATH
from targets.k8s import cluster as facts
from targets.k8s import helper, names
from targets.k8s.cluster import Cluster, Level
from targets.k8s.files import Files
from targets.k8s.names import Json

CPU_SHARE = 10  # a request is this part of the ceiling: what fits on one Docker host fits on one node
PRE_STOP_S = 3  # the endpoints of a Service lag behind the end of a pod
STARTUP_PERIOD_S = 1
GPU_CLASS = "gpu_class"  # a site's words: the RuntimeClass of pods with GPUs, and the PriorityClass
PRIORITY = "priority"
DATA = "data"  # the directory of a volume that is mounted; its root has lost+found, and is not ours to own
VOLUME_ROOT = "/.bundle-volume"
RANK = "batch.kubernetes.io/job-completion-index"

# Pod Security, baseline: https://kubernetes.io/docs/concepts/security/pod-security-standards/
BASELINE_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
RESTRICTED_CAPABILITIES = frozenset({"NET_BIND_SERVICE"})


@dataclass(frozen=True, slots=True)
class Seed:
    """How a volume begins: a copy of `path` in `image`, made by `user`; as the first mounter's image has it, and owned
    by the first writer, both by name of node. `shared`: several pods mount it; `anywhere`: on whatever node, because
    the site names a class for it, and such a class has to offer ReadWriteMany."""

    volume: str
    image: str
    path: str
    user: str | None
    shared: bool
    anywhere: bool


def seeds(release: Release) -> dict[str, Seed]:
    """By volume, of those that are mounted."""
    made: dict[str, Seed] = {}
    classes = dict(release.storage)
    for volume in release.volumes:
        mounts = [
            (workload, mount)
            for workload in sorted(release.workloads, key=lambda one: one.name)
            for mount in workload.volumes
            if mount.name == volume.name
        ]
        if mounts:
            first, at = mounts[0]
            writer = next((workload for workload, mount in mounts if not mount.read_only), first)
            shared = sum(_pods(workload) for workload, _ in mounts) > 1
            anywhere = shared and volume.name in classes
            made[volume.name] = Seed(volume.name, first.image, at.path, writer.user, shared, anywhere)
    return made


def _pods(workload: Workload) -> int:
    return workload.max_instances if isinstance(workload, ReleaseService) else workload.max_workers


def ids(user: str | None) -> tuple[int | None, int | None]:
    """uid and gid; Docker's group is 0 where none is named."""
    if user is None:
        return None, None
    uid, _, gid = user.partition(":")
    return int(uid), int(gid or 0)


def is_root(user: str | None) -> bool:
    """Also where nothing is known of the image's user."""
    return ids(user)[0] in (None, 0)


def level(workload: Workload, seeded: Mapping[str, Seed]) -> Level:
    """The strictest level of Pod Security under which this workload can run."""
    capabilities = {one.upper().removeprefix("CAP_") for one in workload.cap_add}
    if not capabilities <= BASELINE_CAPABILITIES:
        return Level.PRIVILEGED
    owners = [seeded[mount.name].user for mount in workload.volumes if mount.name in seeded]
    if any(is_root(user) for user in (workload.user, *owners)) or not capabilities <= RESTRICTED_CAPABILITIES:
        return Level.BASELINE
    return Level.RESTRICTED


def template(
    release: Release, workload: Workload, files: Files, seeded: Mapping[str, Seed], cluster: Cluster
) -> tuple[dict[str, str], Json]:
    """The labels that the pod needs beside ours, and its `spec`."""
    mounted = [seeded[mount.name] for mount in workload.volumes if mount.name in seeded]
    labels = {names.together(seed.volume): "shared" for seed in mounted if seed.shared and not seed.anywhere}
    spec: Json = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _grace_s(workload, cluster),
        "securityContext": _pod_security(workload.user, cluster),
        "containers": [_container(release, workload, files, cluster)],
    }
    if cluster.pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": cluster.pull_secret}]
    before = _init_containers(release, workload, mounted, cluster)
    if before:
        spec["initContainers"] = before
    volumes = _volumes(release, workload, files, mounted, cluster)
    if volumes:
        spec["volumes"] = volumes
    if labels:
        spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _together(labels)}}
    if workload.init:
        spec["shareProcessNamespace"] = True  # the pause program reaps what nobody waits for
    words = placement(release, workload)
    if _gpus(workload, cluster) and (GPU_CLASS in words or facts.NVIDIA_CLASS in cluster.features):
        spec["runtimeClassName"] = words.get(GPU_CLASS, "nvidia")
    if PRIORITY in words:
        spec["priorityClassName"] = words[PRIORITY]
    return labels, spec


def placement(release: Release, workload: Workload) -> dict[str, str]:
    """The site's words for where a workload runs."""
    kind = "services" if isinstance(workload, ReleaseService) else "jobs"
    return dict(next((words for name, words in release.placement if name == f"{kind}.{workload.name}"), ()))


def _together(labels: Mapping[str, str]) -> list[Json]:
    return [
        {"labelSelector": {"matchLabels": {key: value}}, "topologyKey": "kubernetes.io/hostname"}
        for key, value in sorted(labels.items())
    ]


# containers


def _container(release: Release, workload: Workload, files: Files, cluster: Cluster) -> Json:
    made: Json = {
        "name": workload.name,
        "image": image(release, workload.image, cluster),
        "imagePullPolicy": cluster.pull_policy,
        "securityContext": _container_security(workload),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    command, args = _words(workload)
    if command:
        made["command"] = [_plain(text, files) for text in command]
    if args:
        made["args"] = [_plain(text, files) for text in args]
    if workload.working_dir is not None:
        made["workingDir"] = workload.working_dir
    environment = _environment(workload, files)
    if environment:
        made["env"] = environment
    resources = _resources(workload, cluster)
    if resources:
        made["resources"] = resources
    mounts = _mounts(workload, files)
    if mounts:
        made["volumeMounts"] = mounts
    if isinstance(workload, ReleaseService):
        made |= _service_part(workload, cluster)
    return made


def image(release: Release, name: str, cluster: Cluster) -> str:
    return _reference(cluster, release.image(name).reference)


def _reference(cluster: Cluster, tagged: str) -> str:
    """The image by digest; by its name where the bundle has none for the nodes, which the notes refuse."""
    found = cluster.images.get(tagged)
    return found.reference if found is not None else tagged


def _words(workload: Workload) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """`command` and `args`: an entrypoint drops the image's own arguments; an empty one makes the command the
    program."""
    if workload.entrypoint is None:
        return (), workload.command or ()
    if not workload.entrypoint:
        return workload.command or (), ()
    return workload.entrypoint, workload.command or ()


def _plain(text: Text, files: Files) -> str:
    """Literal text with every `$` doubled, secrets as $(VARIABLE)."""
    return "".join(
        part.replace("$", "$$") if isinstance(part, str) else f"$({files.variables[part.name, part.encoded]})"
        for part in text
    )


def _environment(workload: Workload, files: Files) -> list[Json]:
    """Variables that others are composed of come first: the expansion only knows those before."""
    parts: dict[str, Json] = {}
    texts: list[Text] = [text for _, text in workload.environment if not _single(text)]
    texts += [*(workload.entrypoint or ()), *(workload.command or ())]
    for text in texts:
        for part in text:
            if isinstance(part, SecretPart):
                variable = files.variables[part.name, part.encoded]
                parts[variable] = {"name": variable, "valueFrom": _secret_key(files, variable)}
    made = [parts[name] for name in sorted(parts)]
    if isinstance(workload, ReleaseJob) and workload.ranked:
        made += _ranks(workload)
    for name, text in workload.environment:
        single = _single(text)
        if single is not None:
            key = files.variables[single.name, single.encoded]
            made.append({"name": name, "valueFrom": _secret_key(files, key)})
        else:
            made.append({"name": name, "value": _plain(text, files)})
    return made


def _single(text: Text) -> SecretPart | None:
    parts = [part for part in text if part != ""]
    return parts[0] if len(parts) == 1 and isinstance(parts[0], SecretPart) else None


def _secret_key(files: Files, key: str) -> Json:
    return {"secretKeyRef": {"name": files.secret, "key": key}}


def _ranks(job: ReleaseJob) -> list[Json]:
    given = ranks.environment(job.max_workers, f"{job.name}-0.{job.name}")
    rank = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{RANK}']"}}
    made: list[Json] = []
    for prefix in ranks.PREFIXES:
        made.append({"name": prefix + ranks.RANK, "valueFrom": rank})
        made += [{"name": prefix + key, "value": value} for key, value in given.items()]
    return made


def _service_part(service: ReleaseService, cluster: Cluster) -> Json:
    made: Json = {}
    if service.ports:
        made["ports"] = [{"containerPort": port, "protocol": "TCP"} for port in sorted({p for _, p in service.ports})]
    check = service.healthcheck or service.liveness
    if check is not None:
        budget_s = check.start_period_s + check.interval_s * check.retries
        made["readinessProbe"] = _probe(check, service)
        made["startupProbe"] = _probe(check, service) | {
            "periodSeconds": STARTUP_PERIOD_S,
            "failureThreshold": math.ceil(budget_s / STARTUP_PERIOD_S),
        }
    if service.liveness is not None:
        made["livenessProbe"] = _probe(service.liveness, service)
    if _pauses(service, cluster):
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": PRE_STOP_S}}}
    return made


def _pauses(workload: Workload, cluster: Cluster) -> bool:
    """Whether requests may still come while it ends: where a successor takes them over."""
    return (
        isinstance(workload, ReleaseService)
        and bool(workload.ports)
        and not keeps_data(workload)
        and facts.SLEEP in cluster.features
    )


def keeps_data(workload: Workload) -> bool:
    """Whether two instances must not run side by side during an upgrade."""
    return any(not mount.read_only for mount in workload.volumes)


def _grace_s(workload: Workload, cluster: Cluster) -> int:
    return math.ceil(workload.stop_grace_period_s) + (PRE_STOP_S if _pauses(workload, cluster) else 0)


def _probe(check: Healthcheck, service: ReleaseService) -> Json:
    made: Json = {
        "periodSeconds": max(1, round(check.interval_s)),
        "timeoutSeconds": max(1, math.ceil(check.timeout_s)),
        "failureThreshold": max(1, check.retries),
        "successThreshold": 1,
    }
    if check.test is not None:
        return made | {"exec": {"command": [word.replace("$", "$$") for word in check.test]}}
    port = check.port if check.port is not None else service.ports[0][1]
    if check.http is not None:
        headers = [{"name": "Host", "value": "localhost"}]
        return made | {"httpGet": {"path": check.http, "port": port, "scheme": "HTTP", "httpHeaders": headers}}
    return made | {"tcpSocket": {"port": port}}


def _resources(workload: Workload, cluster: Cluster) -> Json:
    """`cpus` is a ceiling, as on Docker; memory is kept free, because nothing can be taken back."""
    asked = workload.resources
    limits: Json = {}
    requests: Json = {}
    if asked.cpus is not None:
        limits["cpu"] = millicpus(asked.cpus)
        requests["cpu"] = millicpus(asked.cpus / CPU_SHARE)
    if asked.memory_bytes is not None:
        limits["memory"] = requests["memory"] = str(asked.memory_bytes)
    gpus = _gpus(workload, cluster)
    if gpus:
        limits["nvidia.com/gpu"] = str(gpus)
    return {key: value for key, value in (("limits", limits), ("requests", requests)) if value}


def millicpus(cpus: float) -> str:
    return f"{max(1, math.ceil(cpus * 1000))}m"


def _gpus(workload: Workload, cluster: Cluster) -> int:
    gpus = workload.resources.gpus
    return gpus.count if gpus is not None and facts.NVIDIA in cluster.features else 0


# security


def _pod_security(user: str | None, cluster: Cluster) -> Json:
    made: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    uid, gid = ids(user)
    if uid is not None:
        made |= {"runAsUser": uid, "runAsGroup": gid}
    if not is_root(user):
        made |= {"runAsNonRoot": True, "fsGroup": gid, "fsGroupChangePolicy": "OnRootMismatch"}
    if uid is not None and facts.STRICT_GROUPS in cluster.features:
        made["supplementalGroupsPolicy"] = "Strict"  # not those that the image's /etc/group gives the user
    return made


def _container_security(workload: Workload) -> Json:
    """Root keeps the capabilities that Docker gives it; others have none anyway, and may not gain any."""
    added = sorted(one.upper().removeprefix("CAP_") for one in workload.cap_add)
    made: Json = {}
    if workload.read_only:
        made["readOnlyRootFilesystem"] = True
    if not is_root(workload.user):
        made["allowPrivilegeEscalation"] = False
        made["capabilities"] = {"drop": ["ALL"]} | ({"add": added} if added else {})
    elif added:
        made["capabilities"] = {"add": added}
    return made


def _init_security(user: str | None) -> Json:
    uid, gid = ids(user)
    made: Json = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    if uid is not None:
        made |= {"runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": not is_root(user)}
    if not is_root(user):
        made["capabilities"] = {"drop": ["ALL"]}
    return made


# mounts and what is done before the start


def _mounts(workload: Workload, files: Files) -> list[Json]:
    made: list[Json] = [
        {"name": placed.volume, "mountPath": placed.path, "subPath": placed.key, "readOnly": True}
        for placed in files.placed
    ]
    for mount in workload.volumes:
        one: Json = {"name": volume_name(workload, mount.name), "mountPath": mount.path, "subPath": DATA}
        made.append(one | ({"readOnly": True} if mount.read_only else {}))
    made += [
        {"name": f"model-{index}", "mountPath": mount.path, "readOnly": True}
        for index, mount in enumerate(workload.models)
    ]
    made += [{"name": f"tmpfs-{index}", "mountPath": tmpfs.path} for index, tmpfs in enumerate(workload.tmpfs)]
    if workload.resources.shm_bytes is not None:
        made.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - a path of the container
    return made


def volume_name(workload: Workload, volume: str) -> str:
    """The pod's name for a volume; a volume's own may be too long."""
    index = list(dict.fromkeys(mount.name for mount in workload.volumes)).index(volume)
    return f"volume-{index}"


def _volumes(
    release: Release, workload: Workload, files: Files, mounted: Iterable[Seed], cluster: Cluster
) -> list[Json]:
    made: list[Json] = []
    for bundle in files.bundles:
        if bundle.kind == "ConfigMap":
            made.append({"name": bundle.volume, "configMap": {"name": bundle.name, "defaultMode": 0o444}})
        elif any(placed.secret for placed in files.placed):
            mode = 0o400 if is_root(workload.user) else 0o440  # the group is fsGroup
            items = [{"key": placed.key, "path": placed.key} for placed in files.placed if placed.secret]
            made.append({"name": bundle.volume, "secret": _secret_volume(bundle.name, mode, items)})
    for name in dict.fromkeys(mount.name for mount in workload.volumes):
        made.append({"name": volume_name(workload, name), "persistentVolumeClaim": {"claimName": name}})
    for index, model in enumerate(workload.models):
        reference = _reference(cluster, release.model(model.name).reference)
        source = {"reference": reference, "pullPolicy": cluster.pull_policy}
        made.append({"name": f"model-{index}", "image": source})
    made += [
        {"name": f"tmpfs-{index}", "emptyDir": {"medium": "Memory", "sizeLimit": str(tmpfs.size_bytes)}}
        for index, tmpfs in enumerate(workload.tmpfs)
    ]
    if workload.resources.shm_bytes is not None:
        limit = str(workload.resources.shm_bytes)
        made.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": limit}})
    if list(mounted):
        made.append({"name": "helper", "emptyDir": {}})
    return made


def _secret_volume(name: str, mode: int, items: list[dict[str, str]]) -> Json:
    return {"secretName": name, "defaultMode": mode, "items": items}


def _init_containers(release: Release, workload: Workload, mounted: Iterable[Seed], cluster: Cluster) -> list[Json]:
    """The helper is put where other images can run it, then each volume gets its first content."""
    seeding = [_seeding(release, workload, seed, cluster) for seed in mounted]
    return [bring_helper(workload.user, cluster), *seeding] if seeding else []


def bring_helper(user: str | None, cluster: Cluster) -> Json:
    return {
        "name": "bundle-helper",
        "image": cluster.helper.reference,
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "copy", "--force", helper.DIRECTORY, VOLUME_ROOT],
        "securityContext": _init_security(user),
        "volumeMounts": [{"name": "helper", "mountPath": VOLUME_ROOT}],
    }


def waiting(user: str | None, node: str, port: int, timeout_s: int, cluster: Cluster) -> Json:
    """An init container that ends when a service takes connections."""
    return {
        "name": f"wait-{node}"[:63].rstrip("-"),
        "image": cluster.helper.reference,
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "wait", "tcp", node, str(port), str(timeout_s)],
        "securityContext": _init_security(user),
    }


def _seeding(release: Release, workload: Workload, seed: Seed, cluster: Cluster) -> Json:
    name = volume_name(workload, seed.volume)
    return {
        "name": f"bundle-{name}",
        "image": image(release, seed.image, cluster),
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "seed", seed.path.replace("$", "$$"), f"{VOLUME_ROOT}/{DATA}"],
        "securityContext": _init_security(seed.user),
        "volumeMounts": [
            {"name": "helper", "mountPath": helper.DIRECTORY, "readOnly": True},
            {"name": name, "mountPath": VOLUME_ROOT},
        ],
    }
