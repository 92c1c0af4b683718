"""What containers need before they start, to steps: images and weights, network, volumes, secrets, files. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bundler.model.bundle import BundleImage, BundleModel, PlatformImage, for_platform
from bundler.model.graph import Mount
from bundler.model.observed import Observed
from bundler.model.plan import Action, Ready, Step
from bundler.model.release import Release
from targets import ownership
from targets.descriptors import descriptor_json
from targets.engine import claims, delivery
from targets.engine.fill import INCOMPLETE
from targets.engine.workloads import IMAGE_MOUNT, Container


@dataclass(slots=True)
class Draft:
    """Steps as they are found; ids by which later ones wait for earlier ones."""

    target: str
    release: Release
    observed: Observed
    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        resource: str,
        action: Action,
        cause: str,
        payload: Mapping[str, object],
        *,
        after: Sequence[str] = (),
        waits: Sequence[Ready] = (),
        moves_bytes: int = 0,
    ) -> str:
        known = {step.id for step in self.steps}
        ordered = tuple(dict.fromkeys(one for one in after if one in known))
        step = Step(resource, action, cause, payload, ordered, tuple(waits), moves_bytes=moves_bytes)
        self.steps.append(step)
        return step.id

    def labels(self, resource: str, spec: str) -> dict[str, str]:
        return ownership.labels(self.target, self.release.app, resource, spec)

    def there(self, resource: str, name: str) -> bool:
        """Whether a volume of ours is there and complete."""
        here = any(t.resource == resource and t.name == name and not t.foreign for t in self.observed.things)
        return here and self.observed.thing(INCOMPLETE + name) is None


# images


def _platform_image(thing: BundleImage | BundleModel, observed: Observed) -> PlatformImage | None:
    return for_platform(thing.platforms, observed.host.platform)


def pins(release: Release, observed: Observed) -> dict[str, str]:
    """What the engine calls each image: what it says of one that is there, else what it will say."""
    pins = {}
    there = {thing.name: thing.spec for thing in observed.things if thing.resource.startswith("image/")}
    for thing in _things_to_load(release, observed):
        image = _platform_image(thing, observed)
        if image is None:
            continue
        own = image.manifest if delivery.CONTAINERD_STORE in observed.host.features else image.config
        index = thing.descriptor if isinstance(thing, BundleImage) else thing.image
        accepted = {str(image.config.digest), str(image.manifest.digest), str(index.digest)}
        said = there.get(thing.reference)
        pins[thing.reference] = said if said in accepted else str(own.digest)
    return pins


def _things_to_load(release: Release, observed: Observed) -> tuple[BundleImage | BundleModel, ...]:
    """Images that a workload runs, and models that one mounts as an image."""
    used = {workload.image for workload in release.workloads}
    found: list[BundleImage | BundleModel] = [image for image in release.images if image.name in used]
    if IMAGE_MOUNT in observed.host.features:
        found += _models(release)
    return tuple(found)


def _models(release: Release) -> list[BundleModel]:
    mounted = {mount.name for workload in release.workloads for mount in workload.models}
    return [model for model in release.models if model.name in mounted]


def images(draft: Draft, pins: Mapping[str, str]) -> dict[str, str]:
    """Claims, then loads one after the other, so that shared layers are sent once. By reference, the step after which
    the image is sure to be there."""
    release, observed = draft.release, draft.observed
    things = [(one, _platform_image(one, observed)) for one in _things_to_load(release, observed)]
    images = {one.reference: (one, image) for one, image in things if image is not None}
    payloads = {name: delivery.load_payload(*pair, pins[name]) for name, pair in images.items()}
    there = {thing.name for thing in observed.things if thing.spec == pins.get(thing.name)}
    loads: dict[str, str] = {}
    last: list[str] = []
    references, volume = claim(release, observed)
    if not draft.there("images", volume):
        present = {reference: payload for reference, payload in payloads.items() if reference in there}
        claiming = claims.payload(draft.labels("images", volume), release.app, references, [*present.values()])
        last = [draft.add("images", Action.STORE, "names what this app brings", claiming)]
        loads = dict.fromkeys(present, last[0])  # it may have gone since
    sent: set[str] = set()
    for thing, image in images.values():
        if thing.reference in there:
            continue
        resource = f"{'model' if isinstance(thing, BundleModel) else 'image'}/{thing.name}"
        size = sum(layer.size_bytes for layer in image.layers if str(layer.digest) not in sent)
        sent |= {str(layer.digest) for layer in image.layers}
        payload = payloads[thing.reference]
        loads[thing.reference] = draft.add(resource, Action.LOAD, "not there", payload, after=last, moves_bytes=size)
        last = [loads[thing.reference]]
    return loads


def claim(release: Release, observed: Observed) -> tuple[list[str], str]:
    """The references this release brings, and the volume that says so. What somebody else had loaded stays theirs."""
    images = [thing for thing in observed.things if thing.resource.startswith("image/")]
    loaded_by_hand = {image.name for image in images if image.foreign and not image.shared}
    references = sorted({thing.reference for thing in _things_to_load(release, observed)} - loaded_by_hand)
    return references, claims.volume(release.app, references)


# network, volumes, secrets, files


def ground(draft: Draft, wanted: tuple[Container, ...], loads: Mapping[str, str]) -> None:
    release, observed = draft.release, draft.observed
    network = observed.thing("network")
    if network is None or network.foreign:
        labels = draft.labels("network", "1")
        payload: dict[str, object] = {"do": "network", "network": ownership.network(release.app), "labels": labels}
        draft.add("network", Action.CREATE, "not there", payload)
    for volume in release.volumes:
        _data_volume(draft, volume.name, wanted, loads)
    if IMAGE_MOUNT not in observed.host.features:
        for model in _models(release):
            _model_volume(draft, model)
    _secrets(draft)
    for container in wanted:
        _files(draft, container, loads)
    helper = ownership.helper_volume(release.app)
    used = any(mount.volume == helper for container in wanted for mount in container.volumes)
    if used and not draft.there("helper", helper):
        payload = {
            "do": "helper",
            "volume": helper,
            "architecture": observed.host.platform.architecture,
            "labels": draft.labels("helper", "1"),
        }
        draft.add("helper", Action.CREATE, _cause(draft, helper), payload)


def of(draft: Draft, container: Container, loads: Mapping[str, str]) -> list[str]:
    """The steps that this container needs done: its image and weights, its volumes, the network, and the secrets,
    which must be kept before anything uses one."""
    models = [draft.release.model(mount.name).reference for mount in container.workload.models]
    volumes = {mount.volume for mount in container.volumes}
    return [
        *(loads[reference] for reference in (container.reference, *models) if reference in loads),
        "create network",
        *(step.id for step in draft.steps if step.payload.get("volume") in volumes),
        "store secrets",
    ]


def _cause(draft: Draft, volume: str) -> str:
    return "not there" if draft.observed.thing(INCOMPLETE + volume) is None else "not complete"


def _data_volume(draft: Draft, name: str, wanted: tuple[Container, ...], loads: Mapping[str, str]) -> None:
    """Made for whoever mounts it: content of the first mounter's image, owner the first writer."""
    volume = ownership.volume(draft.release.app, name)
    resource = f"volume/{name}"
    if draft.there(resource, volume):
        return
    mounts: list[tuple[Container, Mount]] = sorted(
        ((c, m) for c in wanted for m in c.workload.volumes if m.name == name), key=lambda pair: pair[0].workload.name
    )
    writer = next((c for c, mount in mounts if not mount.read_only), None)
    mounters = [
        {"image": c.pin, "path": mount.path, "user": c.workload.user, "owner": c is writer} for c, mount in mounts
    ]
    labels = draft.labels(resource, "1")
    payload = {"do": "volume", "volume": volume, "mounters": mounters, "labels": labels}
    after = [loads[c.reference] for c, _ in mounts if c.reference in loads]
    draft.add(resource, Action.CREATE, _cause(draft, volume), payload, after=after)


def _model_volume(draft: Draft, model: BundleModel) -> None:
    volume = ownership.model_volume(draft.release.app, model.name, model.image.digest.hex)
    resource = f"model/{model.name}"
    if draft.there(resource, volume):
        return
    payload = {
        "do": "model",
        "volume": volume,
        "layers": [descriptor_json(layer) for layer in model.layers],
        "labels": draft.labels(resource, str(model.image.digest)),
    }
    size = sum(layer.size_bytes for layer in model.layers)
    draft.add(resource, Action.LOAD, _cause(draft, volume), payload, moves_bytes=size)


def _secrets(draft: Draft) -> None:
    volume = ownership.secrets_volume(draft.release.app)
    there = draft.there("secrets", volume)
    new = [secret for secret in draft.release.secrets if not secret.stored]
    if not new:
        return
    payload = {
        "do": "secrets",
        "volume": volume,
        "names": [secret.name for secret in new],
        "before": {secret.name: secret.before for secret in new},
        "labels": draft.labels("secrets", "1"),
    }
    cause = f"new or changed: {', '.join(secret.name for secret in new)}" if there else _cause(draft, volume)
    draft.add("secrets", Action.STORE, cause, payload)


def _files(draft: Draft, container: Container, loads: Mapping[str, str]) -> None:
    volume, name = container.files_volume, container.workload.name
    resource = f"files/{name}"
    if volume is None or draft.there(resource, volume):
        return
    payload = {
        "do": "files",
        "volume": volume,
        "image": container.pin,
        "user": container.workload.user,
        "files": [{"name": f.name, "path": f.path, "mode": f.mode, "content": f.content} for f in container.files],
        "labels": draft.labels(resource, volume),
    }
    had = any(thing.resource == resource and not thing.foreign for thing in draft.observed.things)
    cause = "content changed" if had and draft.observed.thing(INCOMPLETE + volume) is None else _cause(draft, volume)
    after = [loads[container.reference]] if container.reference in loads else []
    draft.add(resource, Action.CREATE, cause, payload, after=[*after, "store secrets"])
