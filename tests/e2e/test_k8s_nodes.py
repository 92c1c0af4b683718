"""Nodes that are containers, as kind, k3d and minikube have them, and a cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from targets.k8s.delivery import BROUGHT, Node, mark

from . import airgap
from .conftest import SMALL, Bundle, docker, get
from .test_k8s_life import built, kubectl, opened

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

HELPER = "bundle.local/graphbundle/helper@"
SOCKET = "/run/containerd/containerd.sock"  # where a node of kind or minikube has it, and ctr looks for it


@pytest.fixture(scope="session")
def elsewhere(bundle: Bundle) -> Bundle:
    """The command on a machine that is no node: no address of a containerd is set."""
    return replace(bundle, env={key: value for key, value in bundle.env.items() if key != "CONTAINERD_ADDRESS"})


@pytest.fixture(scope="session")
def bare(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with nothing but a program that stays."""
    if not (SMALL / "app" / "app").is_file():
        pytest.fail("the small fixture's program is not built: run scripts/small-prepare", pytrace=False)
    name, file = f"k8-node:{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("node") / "root.tar"
    with tarfile.open(file, "w") as archive:
        archive.add(SMALL / "app" / "app", "app")
    docker("import", str(file), name)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture(scope="session")
def node(bare: str) -> Iterator[str]:
    """A container that shows the cluster's node as one of kind does: its containerd, and `ctr` on the PATH."""
    yield from _container(bare, *_mounts())


@pytest.fixture
def no_node(bare: str) -> Iterator[str]:
    """A container without `ctr`, as the load balancer of k3d is one."""
    yield from _container(bare)


def _container(image: str, *options: str) -> Iterator[str]:
    name = f"k8-node-{uuid.uuid4().hex[:8]}"
    docker("run", "--detach", "--name", name, *options, image, "/app", "serve", "7000")
    yield name
    docker("rm", "--force", "--volumes", name)


def _mounts() -> Iterator[str]:
    address, ctr = os.environ.get("CONTAINERD_ADDRESS"), shutil.which("ctr")
    if not address or ctr is None:
        pytest.fail('no cluster: run scripts/cluster up and eval "$(scripts/cluster env)"', pytrace=False)
    program = Path(ctr).resolve()
    needs = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout.split()
    libraries = {word: Path(word).resolve() for word in needs if word.startswith("/")}
    for there, here in {"/usr/bin/ctr": program, SOCKET: Path(address), **libraries}.items():
        yield f"--mount=type=bind,source={here},target={there}" + ("" if there == SOCKET else ",readonly")


def test_a_node_that_is_a_container_is_supplied_through_docker(
    elsewhere: Bundle, node: str, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    name, file = app("k8-in-docker", "k8s"), built(elsewhere, tmp_path)
    on_it = ("--target", "k8s", "--containerd", f"docker://{node}")
    where = (*on_it, "--app", name)
    assert "--containerd docker://CONTAINER" in elsewhere("plan", file, "--target", "k8s", "--app", name, status=6).out

    elsewhere("deploy", file, *where)
    with opened(elsewhere, name) as door:
        assert get(f"{door}/healthz") == "ok\n"
    assert elsewhere("deploy", file, *where).out.startswith("no changes\n")
    assert elsewhere("run", name, "again", *on_it).out == "noting hello\n"
    used = _images(name)
    assert used <= Node(f"docker://{node}").images().keys()

    elsewhere("remove", name, *on_it, "--volumes", "--yes")
    assert name not in kubectl("get", "namespaces", "--output", "name")
    left = Node(os.environ["CONTAINERD_ADDRESS"]).images()
    own = {one for one in used if not one.startswith(HELPER)}  # that of others may be coming or going right now
    apps = [{key for key in left[one][1] if key.startswith(BROUGHT)} for one in own & left.keys()]
    assert all(apps), "images that no app has are left"
    assert [one for one in used & left.keys() if mark(name, name) in left[one][1]] == []


def test_two_ways_to_one_node_are_one(elsewhere: Bundle, node: str, tmp_path: Path) -> None:
    file, address = built(elsewhere, tmp_path), os.environ["CONTAINERD_ADDRESS"]

    def steps(bundle: Bundle, *options: str) -> list[str]:
        return [step["id"] for step in bundle("plan", file, "--target", "k8s", *options, "--json").json()["steps"]]

    alone = steps(elsewhere, "--containerd", address)
    assert [step for step in alone if step.startswith("load ")]
    assert steps(elsewhere, "--containerd", address, "--containerd", f"docker://{node}") == alone
    told = replace(elsewhere, env=elsewhere.env | {"CONTAINERD_ADDRESS": f"{address},docker://{node}"})
    assert steps(told) == alone


def test_a_container_that_is_no_node_is_told_with_what_to_do(elsewhere: Bundle, no_node: str, tmp_path: Path) -> None:
    file = built(elsewhere, tmp_path)

    def refused(container: str, **env: str) -> str:
        asked = replace(elsewhere, env=elsewhere.env | env)
        where = ("--target", "k8s", "--app", "k8-no-node", "--containerd", f"docker://{container}")
        return asked("deploy", file, *where, status=6).err

    said = refused(no_node)
    assert 'exec: "ctr": executable file not found' in said
    assert f"{no_node} has no ctr" in said
    docker("stop", "--time", "1", no_node)
    assert f"docker start {no_node}" in refused(no_node)
    said = refused("k8-none")
    assert "No such container: k8-none" in said
    assert "kind get nodes" in said
    assert "start the Docker engine" in refused(no_node, DOCKER_HOST="unix:///run/no-docker.sock")


def _images(app: str) -> set[str]:
    """What an app's pods run and mount, by the helper and the jobs too."""
    return _named(json.loads(kubectl("get", "pods", "--namespace", app, "--output", "json")))


def _named(pods: dict[str, list[dict[str, dict[str, list[dict[str, dict[str, str]]]]]]]) -> set[str]:
    found: set[str] = set()
    for pod in pods["items"]:
        spec = pod["spec"]
        found |= {str(one["image"]) for one in (*spec["containers"], *spec.get("initContainers", ()))}
        found |= {one["image"]["reference"] for one in spec.get("volumes", ()) if "image" in one}
    return found


INSIDE = r"""
set -euo pipefail
scripts/cluster up --root "$CLUSTER" --nodes 2 >/dev/null
trap 'scripts/cluster down --root "$CLUSTER"' EXIT
eval "$(scripts/cluster env --root "$CLUSTER")"
first=$CONTAINERD_ADDRESS second=$CLUSTER/node2/containerd.sock
unset CONTAINERD_ADDRESS

images_of() { ctr --address "$1" images list --quiet | sed "s|^|$1 |"; }
images() { { images_of "$first"; images_of "$second"; } | sort; }
deploy() { bundle deploy "$FILE" --target k8s --app two --containerd "$first" --containerd "$second" --yes; }

images > "$WORK/before.images"
ln -s "$first" "$WORK/again.sock"
for ways in "$first" "$first,$WORK/again.sock"; do
  code=0
  CONTAINERD_ADDRESS=$ways bundle deploy "$FILE" --target k8s --app two 2>> "$WORK/refused" || code=$?
  [ "$code" = 6 ]
done
CONTAINERD_ADDRESS=$first,$second bundle plan "$FILE" --target k8s --app two --json > "$WORK/plan"
deploy
kubectl get pods --namespace two --output json > "$WORK/pods"
images > "$WORK/deployed.images"
bundle open two --target k8s --print > "$WORK/door" & open=$!
for _ in {1..100}; do [ -s "$WORK/door" ] && break; sleep 0.2; done
for _ in 1 2 3 4; do curl -fsS "$(cat "$WORK/door")/peer?file?/notes/installed" >> "$WORK/installed"; done
kill "$open" && wait "$open" || true
deploy > "$WORK/again"

# an image that one node has lost is brought back to that one
lost=$(ctr --address "$second" images list --quiet | grep '^bundle.local/small/again@')
ctr --address "$second" images remove "$lost" >/dev/null
deploy > /dev/null 2> "$WORK/lost"

CONTAINERD_ADDRESS=$first,$second bundle remove two --target k8s --volumes --yes
cleared
images > "$WORK/after.images"
kubectl get namespaces --output name > "$WORK/namespaces"
ls "$CLUSTER/volumes" > "$WORK/volumes"
"""

SPREAD = {"  front:\n    build: ./app\n": "  front:\n    build: ./app\n    scale: {min: 2, max: 2}\n"}


@pytest.mark.netns
def test_two_nodes_are_supplied_alike_and_left_alike(
    elsewhere: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    work = tmp_path_factory.mktemp("two")
    file = built(elsewhere, work / "bundle", SPREAD)
    env = {"WORK": str(work), "CLUSTER": str(work / "c"), "FILE": str(file)}
    done = airgap.run(elsewhere, airgap.CLEARED + INSIDE, env, timeout_s=380)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    first, second = (str(work / "c" / place) for place in ("containerd.sock", "node2/containerd.sock"))
    refused = (work / "refused").read_text()
    assert f"pods come to 2 nodes, and an import reaches 1: {first}; give" in refused
    assert f"({work / 'again.sock'} leads to one of these)" in refused
    brought = ("load image/again", "load model/words", "create helper")
    assert _loads(work / "plan") == {(f"{what} in {at}", "not there") for what in brought for at in (first, second)}

    pods = json.loads((work / "pods").read_text())
    places: dict[str, set[str]] = {}
    for pod in pods["items"]:
        places.setdefault(pod["metadata"]["labels"]["dev.graphbundle.node"], set()).add(pod["spec"]["nodeName"])
    assert places["front"] == {"node1", "node2"}
    assert len(places["back"]) == 1
    assert places["setup"] == places["back"], "they share a volume"
    assert (work / "installed").read_text() == "set up\n" * 4
    deployed = set((work / "deployed.images").read_text().splitlines())
    assert {f"{socket} {image}" for socket in (first, second) for image in _named(pods)} <= deployed
    assert (work / "again").read_text().startswith("no changes\n")
    lost = (work / "lost").read_text()
    assert "two on k8s: 1 step\n" in lost
    assert f"load  image/again in {second}" in lost

    assert (work / "after.images").read_text() == (work / "before.images").read_text()
    assert "namespace/two" not in (work / "namespaces").read_text()
    assert (work / "volumes").read_text() == ""
    assert not (work / "c").exists()


def _loads(plan: Path) -> set[tuple[str, str]]:
    steps = json.loads(plan.read_text())["steps"]
    return {(one["id"], one["cause"]) for one in steps if one["resource"].startswith(("image/", "model/", "helper"))}
