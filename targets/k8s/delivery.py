"""Images and weights into a node's containerd: one platform of one image as a stream, without a copy on disk.

The kubelet finds an image by REPOSITORY@DIGEST; the label `pinned` keeps its garbage collection away, and a label of
ours says which apps brought it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from bundler.contract import BlobSource
from bundler.edges import process
from bundler.errors import TargetError
from bundler.model.oci import INDEX, Descriptor, Digest
from targets import ownership, tar
from targets.counting import again, counted
from targets.descriptors import descriptor, descriptor_json
from targets.k8s.helper import Helper

CRI = "k8s.io"  # containerd's namespace of the kubelet
PINNED = "io.cri-containerd.pinned"
BROUGHT = ownership.PREFIX + "app."  # label of an image: … NAMESPACE.APP
IN_K3S = "k3s://"  # the containerd that `k3s ctr` finds by itself
IN_CONTAINER = "docker://"  # a "socket" that is a node's container, as kind, k3d and minikube have them
PREFIX = "bundle.local/"

# What an import says where another one, or a removal, was at the same blobs: at a layer, or at one it need not send; or
# at the same name.
_RACED = re.compile(r'failed to extract layer|content digest sha256:\w+: not found|image "\S+": already exists')
_GONE = re.compile(r'image "\S+": not found\Z')
AT_ONCE = 8  # nodes that are asked together

T = TypeVar("T")
Payload = Mapping[str, Any]

# What `docker exec` says where a node's container cannot be asked, and what to do; {} is the container.
_IN_CONTAINER = (
    (
        re.compile("No such container"),
        "nodes are named by: kind get nodes --name CLUSTER, k3d node list, minikube node list; docker ps shows all",
    ),
    (re.compile("is not running|is paused|is restarting"), "docker start {} (docker ps -a says how it is)"),
    (
        re.compile(r"(?i)docker daemon|docker api|docker\.sock|during connect"),
        "start the Docker engine that has the node; DOCKER_HOST and `docker context` say which one is asked",
    ),
    (
        re.compile('exec: "ctr"'),
        "{} has no ctr; a node of kind, k3d or minikube has it, a load balancer or a registry beside them has not",
    ),
)
_NO_NODE = (
    "the node's containerd does not answer in its container; minikube has one for Kubernetes if it was started with "
    "--container-runtime=containerd"
)


@dataclass(frozen=True, slots=True)
class Brought:
    """An image that the containerd at `socket` has, by digest; `apps` are those of one namespace that brought it, and
    others as NAMESPACE.APP."""

    reference: str
    socket: str
    apps: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """What the containerds at `sockets`, each of which is another one, have of bundles; or in `fault` why one of them
    does not say."""

    sockets: tuple[str, ...] = ()
    brought: tuple[Brought, ...] = ()
    fault: str = ""


class Node:
    """A node's containerd, through its own program `ctr`."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def _argv(self, *words: str) -> list[str]:
        if self.socket.startswith(IN_CONTAINER):
            docker = process.find("docker", hint="the node is a container of a Docker engine")
            container = self.socket.removeprefix(IN_CONTAINER)
            return [docker, "exec", "--interactive", container, "ctr", "--namespace", CRI, *words]
        if self.socket == IN_K3S:
            return [process.find("k3s", hint="this is for a node of k3s"), "ctr", "--namespace", CRI, *words]
        ctr = process.find("ctr", hint="it comes with containerd; add its directory to PATH")
        return [ctr, "--address", self.socket, "--namespace", CRI, *words]

    def _run(self, *words: str) -> str:
        return self._checked(process.run(self._argv(*words), timeout_s=120.0), words[:2])

    def _checked(self, done: process.Finished, words: tuple[str, ...]) -> str:
        if done.returncode:
            told = done.stderr or done.stdout  # where `docker exec` finds no such program, it says so there
            said = " ".join(told.decode(errors="replace").split())[-400:]
            raise TargetError(f"containerd at {self.socket}: {' '.join(words)}: {said}", hint=self._hint(said))
        return done.stdout.decode()

    def _hint(self, said: str) -> str:
        if not self.socket.startswith(IN_CONTAINER):
            return "--containerd SOCKET (or CONTAINERD_ADDRESS) names the socket of a node's containerd"
        container = self.socket.removeprefix(IN_CONTAINER)
        return next((hint.format(container) for words, hint in _IN_CONTAINER if words.search(said)), _NO_NODE)

    def identity(self) -> str:
        """The same for every way to one containerd. Its `uuid` lies on its disk, and may be in an image that several
        nodes were made from; with its process it is one of its own. Where it does not tell, its address is."""
        try:
            server = json.loads(self._run("info"))["server"]
        except (ValueError, KeyError):
            return self.socket
        return json.dumps([server.get(key) for key in ("uuid", "pid", "pidns")])

    def images(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Digest and labels of each image, by name."""
        found = {}
        for line in self._run("images", "list").splitlines()[1:]:
            columns = line.split()
            labels = dict(pair.partition("=")[::2] for pair in columns[-1].split(",") if "=" in pair)
            found[columns[0]] = (columns[2], labels)
        return found

    def blobs(self) -> frozenset[str]:
        return frozenset(self._run("content", "list", "--quiet").split())

    # --local: by the transfer service, an image that is there loses its labels. Since containerd 1.7.

    def load(self, archive: Iterator[bytes]) -> None:
        words = ("images", "import", "--local", "-")
        self._checked(process.feed(self._argv(*words), archive), words[:2])

    def label(self, name: str, labels: Mapping[str, str]) -> bool:
        """An empty value takes a label away. False where there is no such image."""
        try:
            self._run("images", "label", name, *(f"{key}={value}" for key, value in labels.items()))
        except TargetError as error:
            if not _GONE.search(error.what):
                raise
            return False
        return True

    def tag(self, name: str, other: str) -> None:
        self._run("images", "tag", "--local", name, other)

    def remove(self, *names: str) -> None:
        if names:
            self._run("images", "remove", "--sync", *names)


def mark(namespace: str, app: str) -> str:
    return f"{BROUGHT}{namespace}.{app}"


def distinct(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """One for each containerd: two sockets may lead to the same."""
    if len(nodes) < 2:
        return tuple(nodes)
    found: dict[str, Node] = {}
    for node, identity in zip(nodes, _each(nodes, Node.identity), strict=True):
        found.setdefault(identity, node)
    return tuple(found.values())


def _each(nodes: Sequence[Node], question: Callable[[Node], T]) -> list[T]:
    """Asked side by side."""
    if len(nodes) < 2:
        return [question(node) for node in nodes]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(question, nodes))


def brought(nodes: Sequence[Node], namespace: str) -> tuple[Brought, ...]:
    """The images of bundles that each of the nodes has."""
    found = []
    own = f"{namespace}."
    for node, images in zip(nodes, _each(nodes, Node.images), strict=True):
        for name, (_, labels) in sorted(images.items()):
            if name.startswith(PREFIX) and "@" in name:
                apps = {key.removeprefix(BROUGHT) for key in labels if key.startswith(BROUGHT)}
                found.append(Brought(name, node.socket, frozenset(one.removeprefix(own) for one in apps)))
    return tuple(found)


def load(node: Node, payload: Payload, blobs: BlobSource, progress: Callable[[int], None]) -> None:
    """Make the image be there under both its names, and say who brought it; send only what the node does not have. Once
    more where another app, the last to have it, takes it along meanwhile."""
    for counting in (progress, again(progress), again(progress)):
        if _claim(node, payload):
            return
        _import(node, payload, blobs, counting)
    if not _claim(node, payload):
        raise TargetError(f"containerd did not keep {payload['reference']}", hint="run the same command again")


def _claim(node: Node, payload: Payload) -> bool:
    """Whether the image is there once it is said who brought it: another app may have been the last to leave."""
    labels = {PINNED: "pinned", mark(payload["namespace"], payload["app"]): "yes"}
    return node.label(payload["reference"], labels) and _is_there(payload, node.images())


def _is_there(payload: Payload, there: Mapping[str, tuple[str, dict[str, str]]]) -> bool:
    reference = payload["reference"]
    wanted = {reference, payload["tagged"]}
    return wanted <= there.keys() and there[reference][0] == payload["manifest"]["digest"]


def _import(node: Node, payload: Payload, blobs: BlobSource, progress: Callable[[int], None]) -> None:
    _forget(node, payload["config"]["digest"], node.images())
    try:
        node.load(tar.stream(_archive(payload, node.blobs(), blobs, progress)))
    except TargetError as error:
        if not _RACED.search(error.what):
            raise
        node.load(tar.stream(_archive(payload, frozenset(), blobs, again(progress))))


def _forget(node: Node, identity: str, there: Mapping[str, tuple[str, dict[str, str]]]) -> None:
    """The kubelet's side knows an image by its config's digest. Where such a name is all that is left of one (`ctr
    images rm`), what is imported again would not be seen."""
    if identity in there and not any(
        name != identity and target == there[identity][0] for name, (target, _) in there.items()
    ):
        node.remove(identity)


def unload(node: Node, payload: Payload) -> None:
    """The app lets go of an image; it goes once nobody who brought it is left."""
    reference = payload["reference"]
    if not node.label(reference, {mark(payload["namespace"], payload["app"]): ""}):
        return
    there = node.images()
    if reference not in there or _is_brought(reference, there):
        return
    repository, digest = reference.rpartition("@")[0], there[reference][0]
    same = [name for name, (target, _) in there.items() if target == digest]
    tagged = [name for name in same if name.startswith(f"{repository}:")]
    # Who labels the image from here on finds a name of it gone (`_claim`), and brings it anew.
    node.remove(*tagged)
    if _is_brought(reference, node.images()):
        for name in tagged:
            with suppress(TargetError):  # who brings it was faster
                node.tag(reference, name)
        return
    node.remove(*(name for name in same if name.startswith(f"{repository}@")))
    left = [name for name, (target, _) in node.images().items() if target == digest]
    if all(name.startswith("sha256:") for name in left):  # the kubelet's names of what has no other
        node.remove(*left)


def _is_brought(reference: str, there: Mapping[str, tuple[str, dict[str, str]]]) -> bool:
    return any(key.startswith(BROUGHT) for key in there.get(reference, ("", {}))[1])


def _archive(
    payload: Payload, had: frozenset[str], blobs: BlobSource, progress: Callable[[int], None]
) -> Iterator[tar.Member]:
    manifest, config = descriptor(payload["manifest"]), descriptor(payload["config"])
    layers = [descriptor(layer) for layer in payload["layers"]]
    sent: set[Digest] = set()
    yield tar.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    for blob in (*layers, config, manifest):
        if str(blob.digest) in had:
            progress(blob.size_bytes)
        elif blob.digest not in sent:
            sent.add(blob.digest)
            path = f"blobs/sha256/{blob.digest.hex}"
            yield tar.Member(path, 0o644, counted(blobs.stream(blob), progress), blob.size_bytes)
    yield tar.file("index.json", json.dumps(_index(payload, manifest)).encode())


def _index(payload: Payload, manifest: Descriptor) -> dict[str, object]:
    entries = [
        {**descriptor_json(manifest), "annotations": {"io.containerd.image.name": name}}
        for name in (payload["tagged"], payload["reference"])
    ]
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}


class HelperBlobs:
    """The helper image's blobs, which are in no bundle."""

    def __init__(self, helper: Helper) -> None:
        self._blobs = {blob.digest: data for blob, data in helper.blobs}

    def read(self, blob: Descriptor) -> bytes:
        return self._blobs[blob.digest]

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        yield self._blobs[blob.digest]
