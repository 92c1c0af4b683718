"""Graph -> the data of a graph file that says the same, with everything spelt out.

For bundles: nothing in it depends on the order of keys (the port of a health check is written), so it can be kept as
canonical JSON; `check_document(written(graph)) == graph`.
"""

from __future__ import annotations

from typing import Any

from bundler.graphfile.forms import written_duration, written_size
from bundler.model.graph import Graph, Healthcheck, Job, Mount, PythonBuild, Service, Value, Workload


def written(graph: Graph) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {
        "values": {value.name: _value(value) for value in graph.values},
        "services": {service.name: _service(service) for service in graph.services},
        "jobs": {job.name: _job(job) for job in graph.jobs},
        "volumes": {volume.name: _given(size=_size(volume.size_bytes)) for volume in graph.volumes},
        "configs": {
            config.name: _given(
                file=config.file, dir=config.dir, content=config.content, template=config.template or None
            )
            for config in graph.configs
        },
        "secrets": {secret.name: _given(generate=secret.generate) for secret in graph.secrets},
        "models": {model.name: _given(**{"from": model.source}, license=model.license) for model in graph.models},
        "externals": {external.name: {"as": external.type} for external in graph.externals},
        "publish": {
            door.name: _given(to=f"{door.node}.{door.endpoint}", optional=door.optional or None) for door in graph.doors
        },
    }
    return {"bundle": graph.name, "version": graph.version, **{key: part for key, part in sections.items() if part}}


def _given(**parts: Any) -> dict[str, Any]:
    """What is not None."""
    return {key: part for key, part in parts.items() if part is not None}


def _size(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else written_size(size_bytes)


def _value(value: Value) -> dict[str, Any]:
    return {key: list(part) if isinstance(part, list | tuple) else part for key, part in value.schema.items()}


def _mounts(mounts: tuple[Mount, ...], *, sealed: bool) -> list[str] | None:
    """`sealed`: this kind of mount is always read-only, so it need not be said."""
    return [f"{m.name}:{m.path}{':ro' if m.read_only and not sealed else ''}" for m in mounts] or None


def _build(build: str | PythonBuild | None) -> str | dict[str, str] | None:
    if isinstance(build, PythonBuild):
        return {"python": build.project, "base": build.base, "version": build.version}
    return build


def _workload(workload: Workload) -> dict[str, Any]:
    resources = workload.resources
    gpus = resources.gpus
    return _given(
        image=workload.image,
        build=_build(workload.build),
        entrypoint=None if workload.entrypoint is None else list(workload.entrypoint),
        command=None if workload.command is None else list(workload.command),
        working_dir=workload.working_dir,
        environment=dict(workload.environment) or None,
        connect={
            edge.slot: {"to": edge.node if edge.endpoint is None else f"{edge.node}.{edge.endpoint}", "wait": edge.wait}
            for edge in workload.connect
        }
        or None,
        depends_on={each.node: {"condition": str(each.condition)} for each in workload.depends_on} or None,
        configs=_mounts(workload.configs, sealed=True),
        secrets=_mounts(workload.secrets, sealed=True),
        volumes=_mounts(workload.volumes, sealed=False),
        models=_mounts(workload.models, sealed=True),
        user=workload.user,
        read_only=workload.read_only or None,
        tmpfs=[{"path": each.path, "size": _size(each.size_bytes)} for each in workload.tmpfs] or None,
        resources=_given(
            cpus=resources.cpus,
            memory=_size(resources.memory_bytes),
            shm=_size(resources.shm_bytes),
            gpus=None if gpus is None else {"count": gpus.count, "required": gpus.required},
        )
        or None,
        init=workload.init or None,
        cap_add=list(workload.cap_add) or None,
        stop_signal=workload.stop_signal,
        stop_grace_period=written_duration(workload.stop_grace_period_s),
    )


def _service(service: Service) -> dict[str, Any]:
    scale = service.scale
    return {
        **_workload(service),
        **_given(
            expose={each.name: {"port": each.port, "as": each.type} for each in service.expose} or None,
            healthcheck=_healthcheck(service.healthcheck),
            liveness=_healthcheck(service.liveness),
            scale=None if scale is None else _given(min=scale.min, max=scale.max, cpu=scale.cpu),
            outputs={endpoint: dict(fields) for endpoint, fields in service.outputs} or None,
        ),
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        **_workload(job),
        **_given(
            run=job.run,
            workers=None if job.workers is None else {"min": job.workers.min, "max": job.workers.max},
            retries=job.retries,
            timeout=None if job.timeout_s is None else written_duration(job.timeout_s),
        ),
    }


def _healthcheck(check: Healthcheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return _given(
        http=check.http,
        tcp=check.tcp or None,
        test=None if check.test is None else list(check.test),
        port=check.port,
        interval=written_duration(check.interval_s),
        timeout=written_duration(check.timeout_s),
        retries=check.retries,
        start_period=written_duration(check.start_period_s),
    )
