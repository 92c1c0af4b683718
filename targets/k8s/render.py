"""The release as plain manifests, for people who bring them to a cluster by their own means.

Order is kept by init containers that wait until a Service has a ready pod behind it. Configs are in ConfigMaps, also
those that are blobs of the bundle. What only a deploy can bring is named in the heading: images and secrets.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping

import yaml

from bundler.contract import BlobSource
from bundler.model.observed import Host, Observed
from bundler.model.release import Release, ReleaseJob
from targets.descriptors import descriptor
from targets.k8s import cluster as facts
from targets.k8s import files as filing
from targets.k8s import init_containers, names, nodes, objects
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.names import Json
from targets.k8s.notes import weakest
from targets.k8s.objects import Made, Object

# What a current cluster has; nothing is looked at.
FEATURES = frozenset({facts.IMAGE_VOLUMES, facts.SLEEP, facts.PER_INDEX, facts.METRICS, facts.INGRESS, facts.STORAGE})
WAIT_S = 3600
APPLY_LIMIT_BYTES = 256 << 10  # of an annotation: `kubectl apply` keeps a copy of the object in one

HEAD = """\
What `bundle deploy --target k8s` applies, for kubectl and GitOps. Images, and what is named below, are brought by
`bundle deploy`, or by you."""

_BREAKS = frozenset("\x85\u2028\u2029\ufeff")


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, where YAML can say it so. What some of its versions take for the end of a line,
    and others do not, is escaped."""


def _readable(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS & set(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _readable)


def files(release: Release, settings: Settings, blobs: BlobSource) -> Mapping[str, str]:
    platforms = [image.platform for named in release.images for image in named.platforms]
    platform = min(platforms, key=str, default=nodes.ASSUMED)  # a bundle where nothing runs has none
    observed = Observed(release.app, Host(platform, "kubernetes", "", FEATURES))
    cluster = Cluster.of(release, observed, settings)
    made = objects.workloads(release, observed.host, cluster)
    documents = list(_documents(release, made, cluster, blobs))
    heading = "".join(f"# {line}\n" for line in [*HEAD.splitlines(), *_to_know(release, made, cluster)])
    return {f"{release.app}.yaml": heading + "".join(f"---\n{_text(document)}" for document in documents)}


def _text(document: Json) -> str:
    plain = json.loads(json.dumps(document))  # nothing twice the same object, so that there are no anchors
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _documents(release: Release, made: tuple[Made, ...], cluster: Cluster, blobs: BlobSource) -> Iterator[Json]:
    yield objects.namespace(release.app, cluster.namespace, weakest(made))
    for claim in objects.volumes(release, cluster):
        yield _placed(claim.body, cluster)
    by_name = {each.workload.name: each for each in made}
    in_waves = [name for wave in release.waves for name in wave]
    for name in dict.fromkeys([*in_waves, *sorted(by_name)]):
        each = by_name.get(name)
        if each is None:
            continue
        for one in each.files:
            if one.kind == "ConfigMap" and not _is_too_large(one):
                yield _placed(_filled(one, blobs), cluster)
        for one in each.around:
            yield _placed(one.body, cluster)
        yield _placed(_waiting(release, each, cluster), cluster)


def _filled(config: Object, blobs: BlobSource) -> Json:
    body: Json = copy.deepcopy(config.body)
    for key, content in sorted(config.content.items()):
        match content:
            case {"blob": dict(blob)}:
                filing.store(body, key, blobs.read(descriptor(blob)))
            case {"text": str(text)}:
                filing.store(body, key, text.encode())
    return body


def _size_bytes(config: Object) -> int:
    return sum(filing.content_bytes(content) for content in config.content.values())


def _is_too_large(config: Object) -> bool:
    """A file that no ConfigMap holds, which a deploy refuses."""
    return _size_bytes(config) > filing.LIMIT_BYTES


def _placed(body: Json, cluster: Cluster) -> Json:
    return {**body, "metadata": {"name": body["metadata"]["name"], "namespace": cluster.namespace, **body["metadata"]}}


def _waiting(release: Release, made: Made, cluster: Cluster) -> Json:
    """The workload with an init container for each service that it needs: only ready pods are behind a Service. A
    manual job is suspended until somebody resumes it."""
    body: Json = copy.deepcopy(made.main.body)
    workload = made.workload
    if made.main.replicas is not None:
        body["spec"]["replicas"] = made.main.replicas
    if isinstance(workload, ReleaseJob) and body["kind"] == "Job":  # its template cannot be changed
        named = names.hashed(workload.name, "run", made.main.spec.removeprefix("sha256:"))
        body["metadata"]["name"] = names.fitting(named, names.LABEL_LIMIT - names.rank_length(workload))
    if isinstance(workload, ReleaseJob) and workload.run == "manual":
        body["spec"]["suspend"] = True
    before = init_containers.waiting(release, workload, WAIT_S, cluster)
    if before:
        outer = body["spec"]["jobTemplate"] if body["kind"] == "CronJob" else body
        pod = outer["spec"]["template"]["spec"]
        known = {one["name"] for one in before}  # a job waits anyway, not as long
        pod["initContainers"] = [*before, *(one for one in pod.get("initContainers", ()) if one["name"] not in known)]
    return body


def _to_know(release: Release, made: tuple[Made, ...], cluster: Cluster) -> Iterator[str]:
    if cluster.pull_secret is not None:
        yield f"Secret/{cluster.pull_secret}: credentials to pull from {cluster.registry} with."
    for each in made:
        for one in each.files:
            if one.kind == "Secret":
                for key, content in sorted(one.content.items()):
                    yield f"{one.id}, key {key}: {_told(content.get('text'))}"
            elif _is_too_large(one):
                yield f"{one.id} is left out: it would have more than {filing.LIMIT_BYTES:,} bytes."
            elif _size_bytes(one) > APPLY_LIMIT_BYTES:
                yield f"{one.id} is too large for `kubectl apply` without --server-side."
    if any(each.workload.models for each in made):
        yield "Weights are image volumes, which come with Kubernetes 1.35 and containerd 2.1."
    jobs = {job.name for job in release.jobs}
    for workload in release.workloads:
        for need in workload.needs:
            if need.node in jobs:
                yield f"{workload.resource} does not wait for job {need.node} here: apply them in this order."


def _told(text: object) -> str:
    if not isinstance(text, list):
        return repr(text)
    return " + ".join(
        repr(part) if isinstance(part, str) else f"secret {part['secret']}{', percent-encoded' * part['encoded']}"
        for part in text
    )
