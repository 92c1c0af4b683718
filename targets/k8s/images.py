"""Images on their way to the nodes, and out of them again, as steps. Pure.

A registry is one place; by import each node's containerd is one of its own. What a place lacks is sent there one image
after the other, so that what images share is sent once (a registry takes it over from the first one's repository); the
places side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundler.model.observed import Observed, Thing
from bundler.model.plan import Action, Note, Step
from bundler.model.release import ReleaseService
from targets.descriptors import descriptor_json
from targets.k8s import cluster as facts
from targets.k8s import init_containers, names, notes
from targets.k8s.cluster import Cluster, Image, Settings
from targets.k8s.draft import Draft
from targets.k8s.helper import REPOSITORY
from targets.k8s.objects import Made


@dataclass(frozen=True, slots=True)
class Missing:
    """An image that is not, or may not be, in the containerd at `socket`; None: in the registry, or wherever the nodes
    have it from."""

    image: Image
    socket: str | None


def missing(draft: Draft, made: tuple[Made, ...]) -> list[Missing]:
    """Where nobody can look, the images that an up-to-date service uses are there, and all of them once the release is
    recorded."""
    release, cluster = draft.release, draft.cluster
    wanted = [cluster.images[thing.reference] for thing in facts.needed(release) if thing.reference in cluster.images]
    if any(init_containers.needed(release, workload, cluster) for workload in release.workloads):
        helper = cluster.helper
        wanted.append(Image("helper", helper.tagged, helper.reference, helper.part))
    if cluster.registry is None and cluster.sockets:
        has = {(thing.name, thing.spec) for thing in of(draft.observed)}
        return [
            Missing(image, socket)
            for image in wanted
            for socket in cluster.sockets
            if (image.reference, socket) not in has
        ]
    services = [each for each in made if isinstance(each.workload, ReleaseService)]
    current = [each for each in services if draft.same(each.main)]
    if release.recorded and len(current) == len(services):
        return []
    used = {reference for each in current for reference in references(draft, each)}
    return [Missing(image, None) for image in wanted if image.reference not in used]


def of(observed: Observed) -> tuple[Thing, ...]:
    """The images that the app has brought: one for each node, whose socket is in `spec`."""
    return tuple(thing for thing in observed.things if thing.resource.startswith("image/") and not thing.foreign)


def references(draft: Draft, made: Made) -> list[str]:
    """The images that a workload's pod names."""
    workload, release = made.workload, draft.release
    tagged = [release.image(workload.image).reference, *(release.model(m.name).reference for m in workload.models)]
    needed = [image.reference for one in tagged if (image := draft.cluster.images.get(one)) is not None]
    helped = init_containers.needed(release, workload, draft.cluster)
    return [*needed, draft.cluster.helper.reference] if helped else needed


def undelivered(settings: Settings, cluster: Cluster, lacking: list[Missing]) -> list[Note]:
    if cluster.registry is not None:
        return []
    if not cluster.sockets:
        return [_unreached(cluster, lacking[0])] if lacking else []
    other = facts.told(cluster.features, facts.RUNTIME)
    if lacking and other is not None:
        return [notes.not_containerd(other)]
    if facts.HIDDEN_NODES in cluster.features:
        return [notes.unseen_nodes(len(cluster.sockets))]
    nodes = _nodes(cluster.features)
    if nodes > len(cluster.sockets):
        return [notes.not_every_node(nodes, settings.sockets, cluster.sockets, lacks=bool(lacking))]
    return []


def _unreached(cluster: Cluster, lacking: Missing) -> Note:
    fault = facts.told(cluster.features, facts.UNASKED)
    return notes.unreached(lacking.image.reference) if fault is None else notes.unasked("delivery", fault)


def left(settings: Settings, observed: Observed) -> list[Note]:
    """What a removal does not get at."""
    features = observed.host.features
    reached, nodes = len(facts.reached(settings, features)), _nodes(features)
    pulled, fault = facts.told(features, facts.PULLS_FROM), facts.told(features, facts.UNASKED)
    if not observed.records:
        return []
    if pulled:
        return [notes.left_in_registry(pulled)]
    if fault is not None and not settings.registry:
        return [notes.unasked("removal", f"{fault}; without --containerd (or CONTAINERD_ADDRESS) they stay there")]
    return [notes.left_on_nodes(nodes, reached)] if reached < nodes else []


def _nodes(features: Iterable[str]) -> int:
    """To which pods come; one where nobody may look."""
    return int(facts.told(features, facts.NODES) or 1)


def loads(draft: Draft, lacking: Iterable[Missing]) -> dict[str, list[str]]:
    """Step ids by reference."""
    made: dict[str, list[str]] = {}
    last: dict[str | None, list[str]] = {}
    sent: dict[str | None, dict[str, str]] = {}  # the image's reference by blob
    for one in lacking:
        image, gone = one.image, sent.setdefault(one.socket, {})
        there = next((thing for thing in draft.observed.things if _is(thing, one)), None)
        blobs = [str(blob.digest) for blob in (*image.part.layers, image.part.config)]
        elsewhere = {digest: repository(gone[digest]) for digest in blobs if digest in gone and one.socket is None}
        size = sum(layer.size_bytes for layer in image.part.layers if str(layer.digest) not in gone and not there)
        gone |= {digest: image.reference for digest in blobs if digest not in gone}
        cause = "not there" if there is None else f"another app {_has(there)} it" if there.shared else "there already"
        action = Action.CREATE if _is_helper(draft, image) else Action.LOAD
        after = last.get(one.socket, [])
        payload = {**_payload(draft, one), "elsewhere": elsewhere}
        step = draft.add(_resource(draft, one), action, cause, payload, after=after, moves_bytes=size)
        made.setdefault(image.reference, []).append(step)
        last[one.socket] = [step]
    return made


def repository(reference: str) -> str:
    """In its registry, of HOST/REPOSITORY@DIGEST."""
    return reference.partition("@")[0].partition("/")[2]


def _is(thing: Thing, one: Missing) -> bool:
    return thing.name == one.image.reference and one.socket in (None, thing.spec)


def _is_helper(draft: Draft, image: Image) -> bool:
    return image.reference == draft.cluster.helper.reference


def _resource(draft: Draft, one: Missing) -> str:
    is_model = any(one.image.tagged == model.reference for model in draft.release.models)
    kind = "model" if is_model else "image"
    resource = "helper" if _is_helper(draft, one.image) else f"{kind}/{one.image.name}"
    return names.in_node(resource, one.socket, len(draft.cluster.sockets))


def _payload(draft: Draft, one: Missing) -> Mapping[str, object]:
    image, registry = one.image, draft.cluster.registry
    architecture = draft.observed.host.platform.architecture
    return {
        "do": "push" if registry else "import",
        "socket": one.socket,
        "tagged": image.tagged,
        "reference": image.reference,
        "manifest": descriptor_json(image.part.manifest),
        "config": descriptor_json(image.part.config),
        "layers": [descriptor_json(layer) for layer in image.part.layers],
        "helper": [architecture, registry] if _is_helper(draft, image) else None,
    }


def unload(draft: Draft, after: list[str]) -> None:
    """Images that only this app brought, for a release before this one."""
    used = {draft.cluster.images[thing.reference].reference for thing in facts.needed(draft.release)}
    used.add(draft.cluster.helper.reference)
    gone = list(dict.fromkeys(step.id for step in draft.steps))
    for thing in of(draft.observed):
        if thing.name not in used:
            draft.add(thing.resource, Action.REMOVE, "of an earlier release", _unloading(thing), after=gone or after)


def removal(observed: Observed, told: Mapping[str, object], after: tuple[str, ...]) -> list[Step]:
    return [
        Step(
            thing.resource,
            Action.REMOVE,
            f"let go of alone: it stays, as another app {_has(thing)} it too"
            if thing.shared
            else f"only this app {_has(thing)} it",
            {**told, **_unloading(thing)},
            after,
        )
        for thing in of(observed)
    ]


def _has(thing: Thing) -> str:
    """The helper's image is in no bundle."""
    return "uses" if thing.name.startswith(f"{REPOSITORY}@") else "brought"


def _unloading(thing: Thing) -> Mapping[str, object]:
    return {"do": "unload", "socket": thing.spec, "reference": thing.name}
