"""What a picture tells of a node in words; the same for a graph and for what runs."""

from __future__ import annotations

from collections.abc import Iterable

from bundler.graphfile.forms import written_duration, written_size
from bundler.model.graph import Healthcheck, Resources

Facts = tuple[tuple[str, str], ...]


def of_service(
    ports: Iterable[str], check: Healthcheck | None, resources: Resources, instances: tuple[int, int]
) -> Facts:
    low, high = instances
    return given(
        ports=", ".join(ports),
        health=_check(check),
        instances="" if high == 1 else f"{low} to {high}" if low != high else str(low),
        resources=_resources(resources),
    )


def of_job(run: str, workers: tuple[str, str] | None, resources: Resources, timeout_s: float | None) -> Facts:
    low, high = workers or ("1", "1")
    return given(
        run=run,
        workers="" if workers is None or high == "1" else f"{low} to {high}" if low != high else low,
        timeout="" if timeout_s is None else written_duration(timeout_s),
        resources=_resources(resources),
    )


def when(run: str) -> str:
    """`run` of a job as a caption."""
    return {"install": "job, once", "upgrade": "job, when changed", "manual": "job, on demand"}.get(run, f"job, {run}")


def size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else written_size(size_bytes)


def image_caption(image: str) -> str:
    """The last part of a reference, without its digest: `pgvector:pg17`."""
    return image.partition("@")[0].rpartition("/")[2]


def given(**facts: str) -> Facts:
    """Those that are not empty, in this order."""
    return tuple((name, text) for name, text in facts.items() if text)


def _check(check: Healthcheck | None) -> str:
    if check is None:
        return ""
    port = "" if check.port is None else f" on port {check.port}"
    if check.http is not None:
        return f"GET {check.http}{port}"
    return " ".join(check.test) if check.test is not None else f"answers{port}"


def _resources(resources: Resources) -> str:
    gpus = resources.gpus
    parts = (
        "" if resources.cpus is None else f"{resources.cpus:g} CPU",
        "" if resources.memory_bytes is None else f"{written_size(resources.memory_bytes)} of memory",
        "" if gpus is None else f"{gpus.count} GPU" + ("" if gpus.required else " where there is one"),
    )
    return ", ".join(part for part in parts if part)
