"""The apps of a cluster, from what their records and pods say of themselves. An app is one of its namespace: the same
name in another is another app.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bundler.model.observed import AppSummary
from bundler.model.oci import Digest
from targets import ownership
from targets.k8s import names
from targets.k8s.api import Api
from targets.k8s.names import Json
from targets.k8s.refusals import Forbidden

_MINE = {ownership.TARGET: names.TARGET}


def apps(api: Api, namespace: str | None) -> tuple[AppSummary, ...]:
    """Every app that has a pod or a record in the namespace, or in any; of those whose records nobody shows, the
    pods."""
    try:
        pods = api.list("Pod", namespace, labels=_MINE)
        records = api.list("Secret", namespace, labels=_MINE | {names.KEPT: "record"}, metadata_only=True)
    except Forbidden as error:
        if namespace is None:
            raise Forbidden(error.what, hint="--namespace NAME looks into one where you may") from error
        pods, records = api.list("Pod", namespace, labels=_MINE), []
        if not pods:
            raise
    return summaries(records, pods)


def summaries(records: Iterable[Json], pods: Iterable[Json]) -> tuple[AppSummary, ...]:
    """By namespace and name. Pure."""
    running: Counter[tuple[str, str]] = Counter()
    for pod in pods:
        up = (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
        running[_key(pod)] += up
    newest: dict[tuple[str, str], Json] = {}
    for record in sorted(records, key=names.revision):
        newest[_key(record)] = record
    return tuple(_summary(key, newest.get(key), running[key]) for key in sorted({*running, *newest}))


def _key(found: Json) -> tuple[str, str]:
    return str(found["metadata"]["namespace"]), str(found["metadata"]["labels"][ownership.APP])


def _summary(key: tuple[str, str], record: Json | None, count: int) -> AppSummary:
    namespace, app = key
    if record is None:
        return AppSummary(app, "", "", None, count, namespace)
    root = names.annotation(record, ownership.ROOT)
    return AppSummary(
        app,
        names.annotation(record, ownership.BUNDLE),
        names.annotation(record, ownership.VERSION),
        Digest(root) if root else None,
        count,
        namespace,
    )
