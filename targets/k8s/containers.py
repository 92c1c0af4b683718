"""A workload's own container: program, environment, probes, resources. Pure.

Every `$` of the release is doubled where Kubernetes would expand it; secrets come in by reference to a Secret.
"""

from __future__ import annotations

import math

from bundler.model.graph import Healthcheck
from bundler.model.release import Release, ReleaseJob, ReleaseService, Text, Workload
from targets import ranks
from targets.k8s import cluster as facts
from targets.k8s import names, volumes
from targets.k8s.cluster import Cluster
from targets.k8s.files import Files, in_arguments
from targets.k8s.names import Json
from targets.k8s.security import container_security

CPU_SHARE = 10  # a request is this part of the ceiling: what fits on one Docker host fits on one node
PRE_STOP_S = 3  # the endpoints of a Service lag behind the end of a pod
STARTUP_PERIOD_S = 1
RUN = "BUNDLE_RUN"  # what a job's pods know it by
NEVER = (1 << 31) - 1  # how many failures a probe may allow


def container(release: Release, workload: Workload, files: Files, cluster: Cluster) -> Json:
    made: Json = {
        "name": workload.name,
        "image": cluster.reference(release.image(workload.image).reference),
        "imagePullPolicy": cluster.pull_policy,
        "securityContext": container_security(workload),
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
    asked = _resources(workload, cluster)
    if asked:
        made["resources"] = asked
    mounts = volumes.mounts(workload, files, cluster)
    if mounts:
        made["volumeMounts"] = mounts
    if isinstance(workload, ReleaseService):
        made |= _service_part(workload, cluster)
    return made


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
    """Variables with secrets in them are whole texts of the Secret. Arguments can only be expanded from variables, so
    that what they hold of secrets is in the environment too."""
    parts = sorted({files.variables[part.name, part.encoded] for part in in_arguments(workload)})
    made: list[Json] = [{"name": name, "valueFrom": _secret_key(files, name)} for name in parts]
    if isinstance(workload, ReleaseJob) and workload.ranked:
        own = {name for name, _ in workload.environment}
        made += [one for one in _ranks(workload) if one["name"] not in own]  # server-side apply takes no name twice
    for name, text in workload.environment:
        key = files.environment.get(name)
        given = {"value": _plain(text, files)} if key is None else {"valueFrom": _secret_key(files, key)}
        made.append({"name": name, **given})
    return made


def _secret_key(files: Files, key: str) -> Json:
    return {"secretKeyRef": {"name": files.secret, "key": key}}


def _ranks(job: ReleaseJob) -> list[Json]:
    """The master's name begins with that of the run: a schedule's are called NAME-MINUTES."""
    given = ranks.environment(job.max_workers, f"$({RUN})-0.{job.name}")
    made: list[Json] = [{"name": RUN, "valueFrom": _field(f"metadata.labels['{names.RUN}']")}]
    for prefix in ranks.PREFIXES:
        made.append({"name": prefix + ranks.RANK, "valueFrom": _field(f"metadata.annotations['{names.RANK}']")})
        made += [{"name": prefix + key, "value": value} for key, value in given.items()]
    return made


def _field(path: str) -> Json:
    return {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}


def _service_part(service: ReleaseService, cluster: Cluster) -> Json:
    made: Json = {}
    if service.ports:
        made["ports"] = [{"containerPort": port, "protocol": "TCP"} for port in sorted({p for _, p in service.ports})]
    check = service.healthcheck or service.liveness
    if check is not None:
        made["readinessProbe"] = _probe(check, service)
        made["startupProbe"] = _starting(service, check)
    if service.liveness is not None:
        made["livenessProbe"] = _probe(service.liveness, service)
    if _pauses(service, cluster):
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": PRE_STOP_S}}}
    return made


def _starting(service: ReleaseService, check: Healthcheck) -> Json:
    """Asked every second until the first yes, so that what starts fast is ready soon. Out of failures, the kubelet
    starts it anew: that is the liveness check's to say, once the time that either check gives is over."""
    asked, failures = check, NEVER
    if service.liveness is not None:
        asked = service.liveness
        budget_s = max(one.start_period_s + one.interval_s * one.retries for one in (check, asked))
        failures = max(1, math.ceil(budget_s / STARTUP_PERIOD_S))
    return _probe(asked, service) | {"periodSeconds": STARTUP_PERIOD_S, "failureThreshold": failures}


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


def grace_s(workload: Workload, cluster: Cluster) -> int:
    return math.ceil(workload.stop_grace_period_s) + (PRE_STOP_S if _pauses(workload, cluster) else 0)


def whole_s(seconds: float) -> int:
    """As a cluster counts: what is no whole number of seconds becomes longer."""
    return max(1, math.ceil(seconds))


def _probe(check: Healthcheck, service: ReleaseService) -> Json:
    made: Json = {
        "periodSeconds": whole_s(check.interval_s),
        "timeoutSeconds": whole_s(check.timeout_s),
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
    made, gpus = resources(workload), gpu_count(workload, cluster)
    return made | {"limits": made.get("limits", {}) | {facts.GPU: str(gpus)}} if gpus else made


def resources(workload: Workload) -> Json:
    """`cpus` is a ceiling, as on Docker; memory is kept free, because nothing can be taken back."""
    asked = workload.resources
    limits: Json = {}
    requests: Json = {}
    if asked.cpus is not None:
        limits["cpu"] = millicpus(asked.cpus)
        requests["cpu"] = millicpus(asked.cpus / CPU_SHARE)
    if asked.memory_bytes is not None:
        limits["memory"] = requests["memory"] = str(asked.memory_bytes)
    return {"limits": limits, "requests": requests} if limits else {}


def millicpus(cpus: float) -> str:
    return f"{max(1, math.ceil(cpus * 1000))}m"


def gpu_count(workload: Workload, cluster: Cluster) -> int:
    gpus = workload.resources.gpus
    return gpus.count if gpus is not None and facts.NVIDIA in cluster.features else 0
