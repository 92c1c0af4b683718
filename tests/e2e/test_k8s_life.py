"""The life of an app on a cluster, told through the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from targets.k8s.delivery import Node

from .conftest import SMALL, Bundle, get

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    if not os.environ.get("KUBECONFIG") or not os.environ.get("CONTAINERD_ADDRESS") or shutil.which("kubectl") is None:
        pytest.fail('no cluster: run scripts/cluster up and eval "$(scripts/cluster env)"', pytrace=False)


@pytest.fixture(scope="session")
def small(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small graph's bundle, with images that no node has ever seen: what a kubelet has once pulled from a registry
    cannot be imported under another name."""
    if not (SMALL / "app" / "app").is_file():
        pytest.fail("the small fixture's program is not built: run scripts/small-prepare", pytrace=False)
    return built(bundle, tmp_path_factory.mktemp("k8s"))


def built(
    bundle: Bundle, place: Path, changes: Mapping[str, str] = MappingProxyType({}), graph: str | None = None
) -> Path:
    """A bundle of the small graph with these texts of it replaced, or of another one with its program."""
    place.mkdir(exist_ok=True)
    shutil.copytree(SMALL, place / "small")
    mark = uuid.uuid4().hex
    with (place / "small" / "app" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f"LABEL mark={mark}\n")
    (place / "small" / "words" / "mark").write_text(mark)
    graph = graph or (place / "small" / "bundle.yaml").read_text()
    for before, after in changes.items():
        assert graph.count(before) == 1
        graph = graph.replace(before, after)
    (place / "small" / "bundle.yaml").write_text(graph)
    bundle("build", place / "small", "-o", place / "small.tar")
    return place / "small.tar"


def kubectl(*arguments: str) -> str:
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
    return done.stdout


def generations(app: str) -> dict[str, object]:
    kinds = "deployments,statefulsets,services,configmaps,secrets,persistentvolumeclaims"
    found = json.loads(kubectl("get", kinds, "--namespace", app, "--output", "json"))["items"]
    return {
        f"{one['kind']}/{one['metadata']['name']}": (one["metadata"].get("generation"), one["metadata"]["uid"])
        for one in found
    }


@contextmanager
def opened(bundle: Bundle, app: str, *where: str) -> Iterator[str]:
    """The front door's address, for as long as `bundle open` holds it open."""
    argv = [str(Path(sys.executable).parent / "bundle"), "open", app, "--target", "k8s", *where, "--print"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=bundle.env) as child:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        assert address, child.communicate()[1]
        yield address
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 0


@pytest.mark.parametrize("apart_s", [0.0, 1.5])
def test_of_two_deploys_at_once_one_is_done_and_the_other_ends_before_its_first_step(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], apart_s: float
) -> None:
    name = app(f"k8-twice-{apart_s:.0f}", "k8s")  # they run side by side
    argv = ["deploy", str(small), "--target", "k8s", "--app", name, "--yes"]
    for greeting in ("first",) if apart_s else ("first", "other"):  # a later deploy is over in a moment
        begun = []
        for delay_s in (apart_s, 0.0):
            begun.append(bundle.start(*argv, "--set", f"values.greeting={greeting}"))
            time.sleep(delay_s)
        said = {process.communicate(timeout=120)[1]: process.returncode for process in begun}
        assert sorted(said.values()) == [0, 6], said
        refused = next(text for text, status in said.items() if status == 6)
        assert f"another deploy of {name} " in refused
    assert "lease" not in kubectl("get", "secrets", "--namespace", name, "--output", "name")


def test_a_bundle_is_deployed_changed_removed_and_leaves_nothing(
    bundle: Bundle, small: Path, app: Callable[[str, str], str]
) -> None:
    name = app("k8-life", "k8s")
    where = ("--target", "k8s")

    bundle("deploy", small, *where, "--app", name)
    with opened(bundle, name) as door:
        assert get(f"{door}/healthz") == "ok\n"
        assert get(f"{door}/peer?file?/notes/installed") == "set up\n"
        token = get(f"{door}/peer?file?/run/secrets/token")
        assert len(token) == 24
        assert f"PEER_KEY={token}\n" in get(f"{door}/env")

    first = generations(name)
    again = bundle("deploy", small, *where, "--app", name)
    assert again.out.startswith("no changes\n")
    assert generations(name) == first

    bundle("deploy", small, *where, "--app", name, "--set", "values.greeting=salut", "--yes")
    second = generations(name)
    changed = {one for one in first if second.get(one) != first[one]}
    assert {one for one in changed if not one.startswith("ConfigMap/")} == {"Deployment/front"}
    with opened(bundle, name) as door:
        assert 'greeting = "salut"' in get(f"{door}/file?/etc/front/settings.toml")

    assert bundle("run", name, "again", *where).out == "noting salut\n"
    assert bundle("run", name, "again", *where).out == "noting salut\n"
    with opened(bundle, name) as door:
        assert get(f"{door}/peer?file?/notes/again") == "salut\nsalut\n"

    gone = bundle("remove", name, *where)
    for what in ("volume/notes", "secrets", "record/"):
        assert what in gone.out
    assert name in bundle("list", *where).out

    bundle("deploy", small, *where, "--app", name)
    with opened(bundle, name) as door:
        assert get(f"{door}/peer?file?/run/secrets/token") == token
        assert get(f"{door}/peer?file?/notes/installed") == "set up\n", "an install job runs once"

    used = _used(name)
    assert len(used) == 2
    bundle("remove", name, *where, "--volumes", "--yes")
    assert name not in kubectl("get", "namespaces", "--output", "name")
    assert used & Node(os.environ["CONTAINERD_ADDRESS"]).images().keys() == set()


def _used(app: str) -> set[str]:
    """The images that an app's pods run and mount."""
    pods = json.loads(kubectl("get", "pods", "--namespace", app, "--output", "json"))["items"]
    run = {one["image"] for pod in pods for one in pod["spec"]["containers"]}
    return run | {one["image"]["reference"] for pod in pods for one in pod["spec"]["volumes"] if "image" in one}


SOURCES = {
    "  token: {generate: 24}": "  token: {generate: 24}\n  by-file: {}\n  by-env: {}\n  by-cluster: {}",
    "    configs: [settings": "    secrets: [token, by-file, by-env, by-cluster]\n    configs: [settings",
    "      PEER_KEY: ${back.key}": "      PEER_KEY: ${back.key}\n      ADDRESS: http://u:${secrets.by-cluster}@h",
}
SITE = """\
secrets:
  by-file: {file: ./file}
  by-env: {env: BY_ENV}
  by-cluster: {kubernetes: creds/access.key}
"""


def test_secrets_come_from_everywhere_that_a_site_names(
    bundle: Bundle, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    name = app("k8-secrets", "k8s")
    file, site = built(bundle, tmp_path, SOURCES), tmp_path / "site.yaml"
    site.write_text(SITE)
    (tmp_path / "file").write_bytes(b"\xc3\xbc of a file")
    told = replace(bundle, env=bundle.env | {"BY_ENV": "of the environment"})
    words = (file, "--site", site, "--app", name)
    for target in ("docker", "compose"):
        refused = told("plan", *words, "--target", target, status=2).err
        assert f"target {target} has no Kubernetes Secrets to take by-cluster from" in refused

    where = (*words, "--target", "k8s")
    assert f"kubectl create namespace {name}, then" in told("plan", *where, status=6).err
    kubectl("create", "namespace", name)
    try:
        kubectl("create", "secret", "generic", "creds", "--namespace", name, "--from-literal=other=x")
        refused = told("deploy", *where, status=6).err
        assert "secret by-cluster: Secret creds has no key access.key, only other" in refused
        assert kubectl("get", "deployments", "--namespace", name, "--output", "name") == ""
        patch_secret(name, "p@ss word")
        plan = told("plan", *where).out
        told("deploy", *where)
        with opened(bundle, name) as door:
            assert get(f"{door}/file?/run/secrets/by-file") == "\u00fc of a file"
            assert get(f"{door}/file?/run/secrets/by-env") == "of the environment"
            assert get(f"{door}/file?/run/secrets/by-cluster") == "p@ss word"
            assert len(get(f"{door}/file?/run/secrets/token")) == 24
            assert "ADDRESS=http://u:p@ss word@h\n" in get(f"{door}/env")
        assert "p@ss" not in plan + told("render", *where).out + told("status", name, "--target", "k8s").out

        before = generations(name)
        assert told("deploy", *where).out.startswith("no changes\n")
        assert generations(name) == before
        patch_secret(name, "another")
        assert replaced(told("plan", *where).out) == ["service/front"]
        told("deploy", *where, "--yes")
        with opened(bundle, name) as door:
            assert get(f"{door}/file?/run/secrets/by-cluster") == "another"

        told("remove", name, "--target", "k8s", "--volumes", "--yes")
        assert kubectl("get", "secrets", "--namespace", name, "--output", "name") == "secret/creds\n"
    finally:
        kubectl("delete", "namespace", name)


def replaced(plan: str) -> list[str]:
    return [line.split()[2] for line in plan.splitlines() if line.split()[1:2] == ["replace"]]


def patch_secret(namespace: str, value: str) -> None:
    patch = json.dumps({"stringData": {"access.key": value}})
    kubectl("patch", "secret", "creds", "--namespace", namespace, "--type=merge", "--patch", patch)


def test_what_is_rendered_is_taken_by_the_server(bundle: Bundle, small: Path) -> None:
    rendered = bundle("render", small, "--target", "k8s", "--app", "default").out
    _apply(rendered, "--dry-run=server")


@pytest.mark.nlp
def test_the_nlp_stack_as_rendered_is_taken_by_the_server_without_a_warning(bundle: Bundle, nlp: Path) -> None:
    """In the namespace that it names, which is asked to warn of what it would refuse a pod for."""
    rendered = bundle("render", nlp, "--target", "k8s", "--app", "k8-rendered").out
    namespace = next(one for one in yaml.safe_load_all(rendered) if one["kind"] == "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    labels["pod-security.kubernetes.io/warn"] = "restricted"
    try:
        _apply(yaml.safe_dump(namespace))
        done = _apply(rendered, "--dry-run=server")
        assert "deployment.apps/api created (server dry run)" in done.stdout
        assert "statefulset.apps/vectordb created (server dry run)" in done.stdout
        assert done.stderr == "", "a warning"
    finally:
        kubectl("delete", "namespace", "k8-rendered", "--wait=false", "--ignore-not-found")


def _apply(manifests: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["kubectl", "apply", *options, "--filename", "-"]
    done = subprocess.run(argv, input=manifests, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def test_a_cluster_that_cannot_be_had_is_named_before_anything_is_done(
    bundle: Bundle, small: Path, tmp_path: Path
) -> None:
    elsewhere = Bundle(bundle.home, {**bundle.env, "KUBECONFIG": str(tmp_path / "none")})
    assert "KUBECONFIG" in elsewhere("deploy", small, "--target", "k8s", status=6).err
    blind = Bundle(bundle.home, {k: v for k, v in bundle.env.items() if k != "CONTAINERD_ADDRESS"})
    refused = blind("deploy", small, "--target", "k8s", "--app", "k8-blind", status=6).err
    assert "--registry" in refused
    assert "--containerd" in refused


def on_a_node(bundle: Bundle) -> Bundle:
    """The command as somebody on a node of k3s has it."""
    if shutil.which("k3s") is None:
        pytest.fail("no k3s: run scripts/k3s-stand-in up DIR and eval its env", pytrace=False)
    env = {key: value for key, value in bundle.env.items() if key != "CONTAINERD_ADDRESS"}
    own = Path(os.environ.get("K3S_STAND_IN_ROOT", "/"), "etc/rancher/k3s/k3s.yaml")
    return replace(bundle, env=env | {"KUBECONFIG": str(own)})


@pytest.mark.k3s
def test_what_k3s_imported_from_its_images_directory_is_not_sent_again(
    bundle: Bundle, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    """The bundle's own file, copied there as it is."""
    node, name, file = on_a_node(bundle), app("k8-dir", "k8s"), built(bundle, tmp_path)
    there = Path(os.environ.get("K3S_STAND_IN_ROOT", "/"), "var/lib/rancher/k3s/agent/images", f"{name}.tar")
    shutil.copy(file, there)
    try:
        ends = time.monotonic() + 60
        while (loads := _loads(node, file, name))["image/again"] != "there already":
            assert time.monotonic() < ends, loads
            time.sleep(1)
        node("deploy", file, "--target", "k3s", "--app", name)
        with opened(bundle, name) as door:
            assert get(f"{door}/healthz") == "ok\n"
        node("remove", name, "--target", "k3s", "--volumes", "--yes")
    finally:
        there.unlink()


def _loads(bundle: Bundle, file: Path, app: str) -> dict[str, str]:
    """Why each image would be loaded."""
    steps = bundle("plan", file, "--target", "k3s", "--app", app, "--json").json()["steps"]
    return {step["resource"]: step["cause"] for step in steps if step["action"] == "load"}


@pytest.mark.k3s
def test_a_node_of_k3s_takes_the_same_bundle(bundle: Bundle, small: Path, app: Callable[[str, str], str]) -> None:
    """By `k3s ctr`, which is what the target finds where no other way to the node is named."""
    node = on_a_node(bundle)
    name = app("k8-k3s", "k8s")
    node("deploy", small, "--target", "k3s", "--app", name)
    assert f"{name} on k3s: small 1.0.0" in node("status", name, "--target", "k3s").out
    assert node("run", name, "again", "--target", "k3s").out == "noting hello\n"
    assert node("deploy", small, "--target", "k3s", "--app", name).out.startswith("no changes\n")
    node("remove", name, "--target", "k3s", "--volumes", "--yes")
    assert name not in kubectl("get", "namespaces", "--output", "name")


SCALED = """
bundle: scaled
version: 1.0.0
values:
  word: {default: before}
services:
  app:
    build: ./app
    user: "10001:10001"
    command: [serve, "7000"]
    environment: {WORD: "${values.word}"}
    scale: {min: 1, max: 3, cpu: 30}
    resources: {cpus: 0.2, memory: 32MiB}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
"""


def test_load_scales_a_service_up_and_no_deploy_takes_that_back(
    bundle: Bundle, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    file, name = built(bundle, tmp_path, graph=SCALED), app("k8-scaled", "k8s")
    deploy = partial(bundle, "deploy", file, "--target", "k8s", "--app", name, "--yes")
    deploy()
    assert _replicas(name) == (1, 1)
    with opened(bundle, name) as door:
        assert get(f"{door}/busy?120") == "ok\n"
        ends = time.monotonic() + 150
        while _replicas(name) != (3, 3) and time.monotonic() < ends:
            time.sleep(1)
        assert _replicas(name) == (3, 3)
    there = generations(name)
    assert deploy().out.startswith("no changes\n")
    assert generations(name) == there
    assert len(bundle("status", name, "--target", "k8s", "--json").json()["instances"]) == 3

    deploy("--set", "values.word=after")
    assert _replicas(name) == (3, 3)
    with opened(bundle, name) as door:
        assert "WORD=after\n" in get(f"{door}/env")
    changed = {one for one in there if generations(name).get(one) != there[one]}
    assert changed == {"Deployment/app"}

    fixed = built(bundle, tmp_path / "2", graph=SCALED.replace("    scale: {min: 1, max: 3, cpu: 30}\n", ""))
    bundle("deploy", fixed, "--target", "k8s", "--app", name, "--yes")
    assert _replicas(name) == (1, 1)
    assert kubectl("get", "horizontalpodautoscalers", "--namespace", name, "--output", "name") == ""


def _replicas(namespace: str) -> tuple[int, int]:
    """Wanted and ready."""
    deployment = json.loads(kubectl("get", "deployment", "app", "--namespace", namespace, "--output", "json"))
    return deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)
