"""What a release needs to know of a cluster: facts observed, and what the person who deploys chose. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bundler.model.bundle import BundleImage, BundleModel, PlatformImage, for_platform
from bundler.model.observed import Observed
from bundler.model.release import Release
from targets.k8s import claims, names
from targets.k8s.claims import Claim
from targets.k8s.helper import Helper, helper

# Features of the host: facts about the cluster and the app's namespace.
IMAGE_VOLUMES = "image-volumes"  # Kubernetes 1.35: on without asking; of all nodes
SLEEP = "sleep-action"  # Kubernetes 1.30: a preStop that needs no program in the image
PER_INDEX = "retries-per-index"  # Kubernetes 1.29: each worker of a job is tried again so often
STRICT_GROUPS = "strict-groups"  # Kubernetes 1.33: a pod is in no groups but those that it names
METRICS = "metrics"
SILENT_METRICS = "metrics-silent"  # they are served, but not now
INGRESS = "ingress"  # whatever serves one without a class
SERVES = "ingress-class-"  # and the name of an IngressClass
HIDDEN_INGRESS = "ingress-hidden"  # the user may not see whether there are any
NVIDIA = "nvidia"
NVIDIA_CLASS = "nvidia-runtime-class"
STORAGE = "default-storage"
STORES = "storage-class-"  # and the name of a StorageClass
GROWS = "growing-storage-"  # and the name of a StorageClass whose volumes may be made larger
GOING = "going-volume-"  # and the name of a volume that is being removed
ENDED = "ended-holder-"  # and such a volume and a pod of ours that mounts it and has ended: "data load-x7"
HOLDS = "holder-"  # and such a volume and any other pod that mounts it
NAMESPACE = "namespace"
OWN_NAMESPACE = "own-namespace"
ENDING = "namespace-ending"
FOREIGN = "foreign-in-namespace"
HIDDEN_NODES = "hidden-nodes"  # the user may not list them
NODES = "nodes-"  # and how many take pods
ALSO = "also-"  # and the platform of nodes that take pods and are of another than the host's
RUNTIME = "runtime-"  # and what runs a node's containers, where that is not containerd
CONTAINERD = "containerd-"  # and where one is that images go into
UNASKED = "unasked-containerd-"  # and why one of those that were named does not say what it has
ENFORCES = "enforces-"  # and a level of Pod Security
PULLS_FROM = "pulls-from-"  # and the registry that the newest record names
PULLS_WITH = "pulls-with-"  # and the Secret with the credentials for it
CREDENTIALS_SAME = "credentials-same"  # the app's own pull secret holds what the person who deploys gives


GPU = "nvidia.com/gpu"  # what nodes offer, and pods ask for


class Level(StrEnum):
    """Pod Security's levels, strictest first."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"
    PRIVILEGED = "privileged"

    @property
    def weakness(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Settings:
    """`namespace` None: the app's name. `imports` with the addresses of the nodes' containerds in `sockets`; `registry`
    is HOST/PATH, `pull_secret` the name of a Secret in the namespace with the nodes' credentials for it ("": none), or
    `pull_config` the text of a docker config.json to make one of. Neither way: images are there already, or the plan
    refuses."""

    context: str | None = None
    namespace: str | None = None
    imports: bool = False
    sockets: tuple[str, ...] = ()
    registry: str | None = None
    pull_secret: str | None = None
    pull_config: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Image:
    """An image for this cluster's nodes: `reference` is by digest, as pods name it."""

    name: str
    tagged: str
    reference: str
    part: PlatformImage


@dataclass(frozen=True, slots=True)
class Cluster:
    namespace: str
    features: frozenset[str]
    registry: str | None
    pull_secret: str | None
    sockets: tuple[str, ...]  # of the containerds that images go into, each once
    images: Mapping[str, Image]  # by the bundle's reference
    helper: Helper
    claims: Mapping[str, Claim]  # by volume, of those that are there

    @classmethod
    def of(cls, release: Release, observed: Observed, settings: Settings) -> Cluster:
        host = observed.host
        registry = settings.registry or (None if settings.imports else told(host.features, PULLS_FROM))
        return cls(
            namespace=settings.namespace or release.app,
            features=host.features | _believed(release, host.features),
            registry=registry,
            pull_secret=_pull_secret(release.app, host.features, settings, registry),
            sockets=reached(settings, host.features),
            images={image.tagged: image for image in _images(release, observed, registry)},
            helper=helper(host.platform.architecture, registry),
            claims=claims.there(observed),
        )

    @property
    def enforced(self) -> Level | None:
        """The level that the namespace enforces, where it is there and enforces one."""
        level = told(self.features, ENFORCES)
        return Level(level) if level in set(Level) else None

    def reference(self, tagged: str) -> str:
        """The image by digest; by its name where the bundle has none for the nodes, which the notes refuse."""
        found = self.images.get(tagged)
        return found.reference if found is not None else tagged

    @property
    def growing(self) -> frozenset[str]:
        return frozenset(all_told(self.features, GROWS))

    @property
    def ingress_class(self) -> str | None:
        """The only class, where none is the default."""
        classes = all_told(self.features, SERVES)
        return classes[0] if INGRESS not in self.features and len(classes) == 1 else None

    @property
    def pull_policy(self) -> str:
        """What was imported cannot be pulled: bundle.local is no registry."""
        return "IfNotPresent" if self.registry else "Never"


def _believed(release: Release, features: frozenset[str]) -> frozenset[str]:
    """Where the nodes may not be listed, those that a workload cannot do without are believed to have GPUs."""
    wanted = [workload.resources.gpus for workload in release.workloads]
    needed = any(gpus is not None and gpus.count and gpus.required for gpus in wanted)
    return frozenset({NVIDIA} if needed and HIDDEN_NODES in features else ())


def reached(settings: Settings, features: frozenset[str]) -> tuple[str, ...]:
    """The sockets that lead to another containerd than those before, as it was found; none where one did not answer."""
    if told(features, UNASKED) is not None:
        return ()
    found = tuple(socket for socket in settings.sockets if CONTAINERD + socket in features)
    return found or settings.sockets


def _pull_secret(app: str, features: frozenset[str], settings: Settings, registry: str | None) -> str | None:
    """What the record says holds as long as the registry is the same."""
    if registry is None:
        return None
    if settings.pull_config is not None:
        return names.pull_secret(app)
    if settings.pull_secret is not None:
        return settings.pull_secret or None
    return told(features, PULLS_WITH) if registry == told(features, PULLS_FROM) else None


def all_told(features: Iterable[str], prefix: str) -> list[str]:
    return [one.removeprefix(prefix) for one in sorted(features) if one.startswith(prefix)]


def told(features: Iterable[str], prefix: str) -> str | None:
    return next(iter(all_told(features, prefix)), None)


def _images(release: Release, observed: Observed, registry: str | None) -> Iterable[Image]:
    things: list[BundleImage | BundleModel] = [*release.images, *release.models]
    for thing in things:
        part = for_platform(thing.platforms, observed.host.platform)
        if part is not None:
            reference = placed(thing.reference, str(part.manifest.digest), registry)
            yield Image(thing.name, thing.reference, reference, part)


def placed(tagged: str, digest: str, registry: str | None) -> str:
    """REPOSITORY@DIGEST, where the nodes have it or pull it."""
    repository = tagged.rpartition(":")[0]
    if registry is not None:
        repository = f"{registry}/{repository.removeprefix('bundle.local/')}"
    return f"{repository}@{digest}"


def needed(release: Release) -> tuple[BundleImage | BundleModel, ...]:
    """Images that a workload runs, and models that one mounts."""
    used = {workload.image for workload in release.workloads}
    mounted = {mount.name for workload in release.workloads for mount in workload.models}
    images: list[BundleImage | BundleModel] = [image for image in release.images if image.name in used]
    return (*images, *(model for model in release.models if model.name in mounted))
