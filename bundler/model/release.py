"""A release: one bundle, one app name, one site's answers. All that a target may know.

Every placeholder is resolved here except secrets, whose bytes only `Target.apply` ever sees: a `Text`
is literal text with `SecretPart`s between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bundler.model.bundle import BundleImage, BundleModel, for_platform
from bundler.model.graph import Condition, Healthcheck, Mount, Resources, Tmpfs, Volume
from bundler.model.oci import Descriptor, Digest, Platform


@dataclass(frozen=True, slots=True)
class SecretPart:
    """The bytes of a secret, percent-encoded (RFC 3986, everything but unreserved) where `encoded`."""

    name: str
    encoded: bool = False


Text = tuple[str | SecretPart, ...]


def has_secret(text: Text) -> bool:
    """Whether a secret's bytes are part of the text."""
    return any(isinstance(part, SecretPart) for part in text)


@dataclass(frozen=True, slots=True)
class FileMount:
    """One file at an absolute `path` of the container: a blob of the bundle, or a text.

    A text with a secret in it, and a file that is a secret, have `secret` set: owner-readable only.
    """

    path: str
    content: Descriptor | Text
    secret: bool


@dataclass(frozen=True, slots=True)
class ReleaseDoor:
    """A front door: `port` of the endpoint, published on the site's `bind` address and `host_port`."""

    name: str
    node: str
    port: int
    scheme: str  # "http", "https" or "tcp"
    bind: str
    host_port: int
    host: str | None = None  # the name people use, where the site gives one
    tls: str | None = None

    @property
    def url(self) -> str:
        if self.host is not None and self.scheme in ("http", "https"):
            return f"{'https' if self.tls else self.scheme}://{self.host}"
        shown = "127.0.0.1" if self.bind in ("0.0.0.0", "") else "[::1]" if self.bind == "::" else self.bind  # noqa: S104 shown, not bound
        shown = f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
        return f"{self.scheme}://{shown}:{self.host_port}"


@dataclass(frozen=True, slots=True)
class Need:
    """An edge of the start order: `node` must fulfil `condition` first."""

    node: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class ReleaseEdge:
    """A connection or dependency as the graph has it, kept for people to see; nothing is planned by it. A connection
    has a `slot`, a dependency a `condition`; `external` is the type of an external node."""

    consumer: str
    node: str
    slot: str = ""
    condition: Condition | None = None
    waits: bool = True
    external: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseWorkload:
    """A service or job, ready to be put on any target.

    `image` names an entry of `Release.images`. `user` is numeric ("10001:10001") or None for the
    image's own. `resource` is "service/NAME" or "job/NAME", the name used in plans and observations.
    """

    name: str
    image: str
    entrypoint: tuple[Text, ...] | None
    command: tuple[Text, ...] | None
    working_dir: str | None
    environment: tuple[tuple[str, Text], ...]
    files: tuple[FileMount, ...]
    volumes: tuple[Mount, ...]
    models: tuple[Mount, ...]
    tmpfs: tuple[Tmpfs, ...]
    user: str | None
    read_only: bool
    resources: Resources
    init: bool
    cap_add: tuple[str, ...]
    stop_signal: str | None
    stop_grace_period_s: float
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class ReleaseService(ReleaseWorkload):
    ports: tuple[tuple[str, int], ...]  # (endpoint, port)
    healthcheck: Healthcheck | None
    liveness: Healthcheck | None
    min_instances: int
    max_instances: int
    scale_cpu: int | None
    doors: tuple[ReleaseDoor, ...]

    @property
    def resource(self) -> str:
        return f"service/{self.name}"


@dataclass(frozen=True, slots=True)
class ReleaseJob(ReleaseWorkload):
    """`due`: this deploy (or `bundle run`) is to run it; an instance of the same spec that has completed
    counts as run. Nothing waits for a job that is not due. `ranked`: its workers, be it one, have names with a rank
    and are told it. `timeout_s` is of one run, its retries included."""

    run: str
    due: bool
    min_workers: int
    max_workers: int
    retries: int
    timeout_s: float | None
    ranked: bool = False

    @property
    def resource(self) -> str:
        return f"job/{self.name}"


Workload = ReleaseService | ReleaseJob


@dataclass(frozen=True, slots=True)
class ReleaseSecret:
    """`revision` is random, made anew whenever the bytes change; `stored`: the target has these bytes.

    `before` is the revision that the target had when this was settled; one that finds another stops, because two
    deploys at once would each use secrets of their own. `size_bytes` is 0 in a record. `origin` is where the bytes
    came from: "generated", "file", "env", "kubernetes", "typed" or "set"; "" where nobody has noted it."""

    name: str
    revision: str
    stored: bool
    before: str | None = None
    size_bytes: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """`record` is the JSON text to keep on the target (no secret in it); `waves` the start order;
    `recorded`: the target's newest record says the same already. `storage` are the classes that the site names for
    volumes, `shared` those that it lets several nodes mount, `placement` its words for "services.NAME" and
    "jobs.NAME"."""

    app: str
    bundle: str
    version: str
    root: Digest
    images: tuple[BundleImage, ...]
    models: tuple[BundleModel, ...]
    services: tuple[ReleaseService, ...]
    jobs: tuple[ReleaseJob, ...]
    volumes: tuple[Volume, ...]
    secrets: tuple[ReleaseSecret, ...]
    doors: tuple[ReleaseDoor, ...]
    waves: tuple[tuple[str, ...], ...]
    record: str
    recorded: bool
    storage: tuple[tuple[str, str], ...] = ()
    placement: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    shared: tuple[str, ...] = ()
    variant: str = ""  # of the bundle; "" for its graph itself
    edges: tuple[ReleaseEdge, ...] = ()
    values: tuple[tuple[str, str], ...] = ()  # as texts, sorted

    def of_platform(self, platform: Platform) -> Release:
        """With the images that run on it and no others."""
        found = [(image, for_platform(image.platforms, platform)) for image in self.images]
        return replace(self, images=tuple(replace(image, platforms=(one,)) for image, one in found if one is not None))

    def image(self, name: str) -> BundleImage:
        return next(image for image in self.images if image.name == name)

    def model(self, name: str) -> BundleModel:
        return next(model for model in self.models if model.name == name)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return (*self.services, *self.jobs)

    def placed(self, workload: Workload) -> dict[str, str]:
        """The site's words for where a workload runs."""
        kind = "services" if isinstance(workload, ReleaseService) else "jobs"
        return dict(dict(self.placement).get(f"{kind}.{workload.name}", ()))
