"""What a cluster cannot give is said before anything is done, and how to mend it: told through the command."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from .conftest import Bundle, get
from .test_k8s_life import built, cluster, kubectl, opened, small

__all__ = ["cluster", "small"]  # fixtures
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


@pytest.fixture
def namespace() -> Iterator[str]:
    """One that an administrator made; it is gone when the test ends."""
    name = f"b-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def configured(place: Path, change: Callable[[dict[str, object], dict[str, object]], None]) -> str:
    """A kubeconfig like the administrator's, with its cluster and user changed."""
    told = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    change(told["clusters"][0]["cluster"], told["users"][0]["user"])
    (place / "kubeconfig").write_text(yaml.safe_dump(told))
    return str(place / "kubeconfig")


def somebody(bundle: Bundle, place: Path, namespace: str, *roles: str) -> tuple[Bundle, str]:
    """The command of a user who has these roles in the namespace and nothing else, and the user's name."""
    kubectl("create", "serviceaccount", "somebody", "--namespace", namespace)
    account = f"{namespace}:somebody"
    for role in roles:
        binding = ("rolebinding", role, f"--clusterrole={role}", f"--serviceaccount={account}")
        kubectl("create", *binding, "--namespace", namespace)
    token = kubectl("create", "token", "somebody", "--namespace", namespace).strip()

    def change(_: dict[str, object], user: dict[str, object]) -> None:
        user.clear()
        user["token"] = token

    config = configured(place, change)
    return replace(bundle, env=bundle.env | {"KUBECONFIG": config}), f"system:serviceaccount:{account}"


def holds(namespace: str) -> str:
    """What anybody has made there."""
    kinds = "deployments,statefulsets,jobs,services,secrets,persistentvolumeclaims"
    return kubectl("get", kinds, "--namespace", namespace, "--output", "name")


def without_adapted(plan: str) -> list[str]:
    return [line.strip() for line in plan.splitlines() if not line.strip().startswith("adapted")]


# rights


def test_who_may_work_in_one_namespace_has_the_whole_life_there(
    bundle: Bundle, small: Path, namespace: str, tmp_path: Path
) -> None:
    one, _ = somebody(bundle, tmp_path, namespace, "edit")
    where = ("--target", "k8s", "--namespace", namespace)
    one("deploy", small, *where, "--app", "b-one")
    assert one("deploy", small, *where, "--app", "b-one").out.startswith("no changes\n")
    assert "service/front  healthy" in one("status", "b-one", *where).out
    assert "b-one" in one("list", *where).out
    assert one("run", "b-one", "again", *where).out == "noting hello\n"
    assert "listening on 7001" in one("logs", "b-one", "front", *where).out
    with opened(replace(one, env=one.env), "b-one", *where[2:]) as door:
        assert get(f"{door}/healthz") == "ok\n"
    assert "--namespace NAME" in one("list", "--target", "k8s", status=6).err
    away = replace(one, env=one.env | {"CONTAINERD_ADDRESS": "/no/such.sock"})
    assert "service/front  healthy" in away("status", "b-one", *where).out, "nothing has to be asked of containerd"
    assert away("deploy", small, *where, "--app", "b-one").out.startswith("no changes\n")
    said = away("remove", "b-one", *where, status=6).err
    assert "images removal: containerd at /no/such.sock" in said
    assert "without --containerd (or CONTAINERD_ADDRESS) they stay there" in said
    one("remove", "b-one", *where, "--volumes", "--yes")
    assert holds(namespace) == ""


def test_who_may_only_read_is_told_what_is_missing_and_who_grants_it(
    bundle: Bundle, small: Path, namespace: str, tmp_path: Path
) -> None:
    where = ("--target", "k8s", "--namespace", namespace)
    reader, name = somebody(bundle, tmp_path, namespace, "view")
    refused = reader("deploy", small, *where, "--app", "b-read", status=6).err
    assert f"{name} may not create" in refused
    assert "create, delete, get, list, patch, watch secrets; " in refused
    assert "statefulsets.apps" in refused
    assert holds(namespace) == ""
    assert "refused: " in reader("plan", small, *where, "--app", "b-read", status=6).out

    bundle("deploy", small, *where, "--app", "b-read")
    status = reader("status", "b-read", *where).out
    assert "its record may not be read" in status
    assert 'cannot list resource "secrets"' in status
    assert "service/front  healthy" in status
    assert "b-read" in reader("list", *where).out
    assert "listening" in reader("logs", "b-read", *where).out
    for words in (("run", "b-read", "again"), ("open", "b-read", "--print")):
        assert 'cannot list resource "secrets"' in reader(*words, *where, status=6).err
    there = holds(namespace)
    for words in (("remove", "b-read"), ("remove", "b-read", "--volumes", "--yes")):
        assert (
            f"refuses to remove b-read; nothing was changed\n  namespace/{namespace}"
            in reader(*words, *where, status=6).err
        )
    assert holds(namespace) == there

    grant = refused.partition("let an administrator run: kubectl ")[2].partition(", or")[0]
    kubectl(*shlex.split(grant))
    assert reader("deploy", small, *where, "--app", "b-read").out.startswith("no changes\n")
    reader("remove", "b-read", *where, "--volumes", "--yes")


def test_who_may_not_remove_a_namespace_can_once_the_printed_commands_have_run(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], namespace: str, tmp_path: Path
) -> None:
    """A deploy made it; somebody else works in it."""
    name = app("b-end", "k8s")
    one, who = somebody(bundle, tmp_path, namespace)
    account = f"--serviceaccount={who.removeprefix('system:serviceaccount:')}"
    bundle("deploy", small, "--target", "k8s", "--app", name)
    kubectl("create", "rolebinding", "one", "--clusterrole=edit", account, "--namespace", name)
    removal = ("remove", name, "--target", "k8s", "--volumes", "--yes")
    refused = one(*removal, status=6).err
    assert f"{who} may not delete namespaces" in refused
    granting = refused.partition("let an administrator run: ")[2].partition(", or")[0].splitlines()[0]
    for command in granting.split("; "):
        kubectl(*shlex.split(command)[1:])
    one(*removal)
    assert name not in kubectl("get", "namespaces", "--output", "name"), "it is gone when the command returns"


def test_who_has_no_namespace_is_told_how_to_get_one(
    bundle: Bundle, small: Path, namespace: str, tmp_path: Path
) -> None:
    """Somebody who sees everything, and may change nothing."""
    stranger, name = somebody(bundle, tmp_path, namespace)
    app = f"{namespace}-x"
    refused = stranger("deploy", small, "--target", "k8s", "--app", app, status=6).err
    account = name.removeprefix("system:serviceaccount:")
    assert f"kubectl create namespace {app} (where there is none)" in refused
    granting = f"--clusterrole=edit --serviceaccount={account} --namespace={app}"
    assert granting in refused
    kubectl("create", "clusterrolebinding", app, "--clusterrole=view", f"--serviceaccount={account}")
    try:
        refused = stranger("deploy", small, "--target", "k8s", "--app", app, status=6).err
    finally:
        kubectl("delete", "clusterrolebinding", app)
    assert "namespaces, " in refused.partition(" may not ")[2]
    assert f"let an administrator run: kubectl create namespace {app}; kubectl create rolebinding" in refused
    assert granting in refused


# room

ROOM = """
bundle: room
version: 1.0.0
values: {word: {default: before}}
services:
  app:
    build: ./app
    user: "10001:10001"
    command: [serve, "7000"]
    environment: {WORD: "${values.word}"}
    resources: {memory: 32MiB}
    expose: {http: 7000}
    healthcheck: {http: /healthz}
  beside:
    build: ./app
    user: "10001:10001"
    command: [serve, "7000"]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
"""


def most_of_the_node() -> str:
    """More than half of the memory that the largest node has for pods, so that it fits once."""
    nodes = json.loads(kubectl("get", "nodes", "--output", "json"))["items"]
    largest = max(int(node["status"]["allocatable"]["memory"].removesuffix("Ki")) for node in nodes)
    return f"{largest * 55 // 100 // 1024}MiB"


@pytest.mark.xdist_group("memory")
def test_what_the_nodes_cannot_hold_is_not_begun(
    bundle: Bundle, app: Callable[[str, str], str], namespace: str, tmp_path: Path
) -> None:
    name, most = app("b-room", "k8s"), most_of_the_node()
    where = ("--target", "k8s", "--app", name)

    def asking(memory: str, beside: str = "") -> Path:
        graph = ROOM.replace("32MiB", memory)
        graph = graph.replace("  beside:\n", f"  beside:\n    resources: {{{beside}}}\n") if beside else graph
        return built(bundle, tmp_path / uuid.uuid4().hex, graph=graph)

    for memory, beside, refused in (
        ("900GiB", "", "service/app memory: a pod asks for 900 GiB; the largest node, "),
        (
            "32MiB",
            "cpus: 900",
            "service/beside cpu: a pod asks for 90 cpus (a tenth of its `cpus`); the largest node, ",
        ),
        (most, f"memory: {most}", "services memory: together they ask for "),
    ):
        said = bundle("deploy", asking(memory, beside), *where, status=6).err
        assert refused in said
        assert "let the graph ask for less" in said
    assert name not in kubectl("get", "namespaces", "--output", "name")

    file = asking(most)
    bundle("deploy", file, *where)
    said = bundle("deploy", file, *where, "--set", "values.word=after", "--yes", status=6).err
    assert "beside the one that it replaces; the node with most left, " in said
    assert "deployment.apps/app condition met" in kubectl(
        "wait", "deployment", "app", "--for=condition=Available", "--namespace", name
    )
    other = ("--target", "k8s", "--namespace", namespace, "--app", "b-second")
    second = asking(most)
    assert "the node with most left" in bundle("plan", second, *other, status=6).out
    assert bundle("deploy", file, *where).out.startswith("no changes\n")

    one, _ = somebody(bundle, tmp_path, namespace, "edit")
    said = one("deploy", second, *other, "--timeout", "30s", status=8).err
    assert "Insufficient memory; make room there, add a node, or let the graph ask for less" in said, "seen too late"
    assert "Insufficient memory; make room" in one("status", "b-second", *other[:4], status=8).out
    bundle("remove", name, "--target", "k8s", "--volumes", "--yes")
    assert one("deploy", second, *other, "--yes").out.startswith("b-second on k8s: room 1.0.0")
    one("remove", "b-second", *other[:4], "--volumes", "--yes")


# classes


def test_classes_that_the_cluster_does_not_have_are_named_beside_those_it_has(
    bundle: Bundle, small: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("storage: {notes: {class: fast}}\npublish: {front: {host: b.example}}\n")
    where = ("--target", "k8s", "--app", "b-classes", "--site", site)
    classes = kubectl("get", "storageclasses", "--output", "jsonpath={.items[*].metadata.name}").split()
    refused = bundle("deploy", small, *where, status=6).err
    assert f"volume/notes storage: the cluster has no StorageClass 'fast', it has {', '.join(classes)}" in refused
    assert f"site file: storage: {{notes: {{class: {classes[0]}}}}}" in refused
    site.write_text(f"storage: {{notes: {{class: {classes[0]}}}}}\n")
    assert without_adapted(bundle("plan", small, *where).out)[0] == "b-classes on k8s: 12 steps"


# the way to the cluster, and of images


def _port(cluster: dict[str, object], _: dict[str, object]) -> None:
    cluster["server"] = "https://127.0.0.1:1"


def _name(cluster: dict[str, object], _: dict[str, object]) -> None:
    cluster["server"] = "https://no-such.invalid:6443"


def _authority(cluster: dict[str, object], _: dict[str, object]) -> None:
    cluster.pop("certificate-authority", None)
    cluster.pop("certificate-authority-data", None)


def _token(_: dict[str, object], user: dict[str, object]) -> None:
    user.clear()
    user["token"] = "expired"


@pytest.mark.parametrize(
    ("change", "reason", "hint"),
    [
        (_port, "cannot be reached: nothing listens there", "--context"),
        (_name, "cannot be reached: nothing knows its name", "--context"),
        (_authority, "its certificate is not trusted: ", "certificate-authority"),
        (_token, "the cluster does not accept these credentials", "log in again"),
    ],
)
def test_a_cluster_that_cannot_be_reached_says_why_in_a_line(
    bundle: Bundle, small: Path, tmp_path: Path, change: Callable[..., None], reason: str, hint: str
) -> None:
    env = bundle.env | {"KUBECONFIG": configured(tmp_path, change)}
    first, *rest = replace(bundle, env=env)("deploy", small, "--target", "k8s", status=6).err.splitlines()
    assert reason in first
    assert hint in " ".join(rest)
    assert not any(word in first for word in ("Error", "HTTPS", "urllib3", "<", "Errno"))


def test_a_server_that_never_answers_is_not_waited_for_long(bundle: Bundle, small: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}"

        def change(cluster: dict[str, object], _: dict[str, object]) -> None:
            cluster["server"] = address

        env = bundle.env | {"KUBECONFIG": configured(tmp_path, change)}
        said = replace(bundle, env=env)("status", "b-x", "--target", "k8s", status=6).err
    assert f"the cluster at {address} cannot be reached: it does not answer in time" in said


def test_a_context_that_is_not_there_is_named_beside_those_that_are(bundle: Bundle, small: Path) -> None:
    there = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["contexts"][0]["name"]
    said = bundle("deploy", small, "--target", "k8s", "--context", "no-such", status=6).err
    assert "the kubeconfig has no context 'no-such'" in said
    assert f"--context NAME chooses one of its contexts: {there}" in said


@contextmanager
def registry(place: Path) -> Iterator[str]:
    """HOST/PATH of the real docker-registry, which knows the user `pusher` with the password `push-me`."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail('docker-registry is missing: PATH="$(scripts/peers up):$PATH"', pytrace=False)
    (place / "users").write_text("pusher:$2b$04$Rs1VeNZOLZKM98B7gNAevOud4Chv2d59SxHivZuG//3yaks1eGmgW\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config: Mapping[str, object] = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(place / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "test", "path": str(place / "users")}},
    }
    (place / "registry.json").write_text(json.dumps(config))
    with subprocess.Popen([program, "serve", place / "registry.json"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "listening on" not in process.stderr.readline():
            assert process.poll() is None
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield f"127.0.0.1:{port}/site"
        process.terminate()


def test_a_registry_that_takes_nothing_is_seen_before_the_first_step(
    bundle: Bundle, small: Path, tmp_path: Path
) -> None:
    where = ("--target", "k8s", "--app", "b-registry")

    def as_user(pair: str | None) -> Bundle:
        auths = {host: {"auth": base64.b64encode(pair.encode()).decode()}} if pair else {}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        return replace(bundle, env=bundle.env | {"DOCKER_CONFIG": str(tmp_path)})

    with registry(tmp_path) as address:
        host = address.partition("/")[0]
        for pair, reason in (
            (None, "lets nobody do this without a login"),
            ("pusher:no", "does not let user 'pusher'"),
        ):
            said = as_user(pair)("deploy", small, *where, "--registry", address, status=6).err
            assert f"registry {host} {reason}" in said
            assert f"docker login {host}" in said
        as_user("pusher:push-me")("plan", small, *where, "--registry", address)
        assert not [*(tmp_path / "registry").rglob("data"), *(tmp_path / "registry").rglob("link")], "none is pushed"
    said = bundle("deploy", small, *where, "--registry", address, status=6).err
    assert f"registry {host} cannot be reached: nothing listens there" in said
    assert "b-registry" not in kubectl("get", "namespaces", "--output", "name")


# what is gone


def test_passwords_that_somebody_deleted_are_not_made_anew_behind_the_back_of_the_data(
    bundle: Bundle, small: Path, app: Callable[[str, str], str]
) -> None:
    name = app("k8s-lost", "k8s")
    where = ("--target", "k8s")
    bundle("deploy", small, *where, "--app", name)
    kubectl("delete", "secret", f"{name}-secrets", "--namespace", name)
    before = holds(name)
    refused = bundle("deploy", small, *where, "--app", name, "--yes", status=6)
    assert "the target has lost token, kept there by an earlier deploy" in refused.err
    assert holds(name) == before
    bundle("secrets", "set", name, "token", "--generate", "12", *where)
    bundle("deploy", small, *where, "--app", name, "--yes")
    with opened(bundle, name) as door:
        assert len(get(f"{door}/peer?file?/run/secrets/token")) == 12
