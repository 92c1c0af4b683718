"""What Kubernetes deployments are like from inside and over time, on a real cluster."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import InCluster
from engines import free_port
from images import image, model

from bundler.errors import TargetError
from bundler.model.graph import Mount, Resources, Tmpfs, Volume
from bundler.model.observed import State
from bundler.model.plan import Action, Ready
from bundler.model.release import FileMount, Release, ReleaseDoor, SecretPart
from targets import tar
from targets.k8s import names
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.target import KubernetesTarget
from targets.sample import SECRET, Deployment, job, sample, service, settled, with_service

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture
def subject(program: bytes) -> InCluster:
    return InCluster(program)


def only(subject: InCluster, **changes: object) -> Release:
    """One published service of a user of its own."""
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", subject.port)
    web = service("web", **{"doors": (door,), "user": "10001:10001", **changes})
    base = sample(subject)
    return replace(base, services=(web,), jobs=(), volumes=(), doors=(door,), waves=(("web",),))


def get(subject: InCluster, path: str, name: str = "web", port: int = 8000) -> str:
    """What the program of `server.c` answers, through the cluster's API."""
    connection = subject.target.dial(subject.app, name, port)
    connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = b""
    while piece := connection.recv(1 << 16):
        answer += piece
    connection.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert " 200 " in head, head
    return body


def generations(subject: InCluster) -> dict[str, object]:
    return {
        f"{kind}/{one['metadata']['name']}": (one["metadata"].get("generation"), one["metadata"]["uid"])
        for kind in ("Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim")
        for one in subject.api.list(kind, subject.app)
    }


def test_what_the_process_sees_is_to_the_letter(subject: InCluster, deployment: Deployment) -> None:
    texts = {"A": "$HOME ${B} $$c $(A)", "B": "two\nlines", "C": "", "D": "'quoted' \"twice\" \\ #no comment", "E": "ü"}
    environment = (
        *((name, (text,)) for name, text in texts.items()),
        ("F", ("x:", SecretPart("key", encoded=True))),
        ("G", (SecretPart("key"),)),
    )
    files = (
        FileMount("/tmp/settings.yaml", subject.config, secret=False),
        FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),
    )
    words = ("a $HOME ${B} $$c $(A)", "'q' \"r\"", "")
    greet = job("greet", "0", *words, user="10001:10001")
    release = only(subject, environment=environment, files=files, read_only=True, tmpfs=(Tmpfs("/scratch", 1 << 20),))
    deployment.go(replace(release, jobs=(greet,), waves=(("web", "greet"),)))
    seen = get(subject, "/env")
    for name, text in texts.items():
        assert f"{name}={text}\n" in seen
    assert "F=x:pl%24in%20bytes%2Fthat%20nobody%20may%20see\n" in seen
    assert f"G={SECRET.decode()}\n" in seen
    assert get(subject, "/read/tmp/settings.yaml") == "language: en\n"
    assert get(subject, "/read/run/secrets/key") == SECRET.decode()
    assert get(subject, "/stat/run/secrets/key") == "0440 0 10001\n"
    get(subject, "/write/scratch/new")
    assert get(subject, "/read/scratch/new") == "written\n"
    lines = [
        line.text
        for line in subject.target.logs(subject.app, "greet", follow=False, since=None, tail=None)
        if line.text != "ends with 0"
    ]
    assert lines[: len(words)] == list(words)
    namespace = subject.api.get("Namespace", subject.app)
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_second_deploy_touches_no_object(subject: InCluster, deployment: Deployment) -> None:
    release = sample(subject)
    deployment.go(release)
    before = generations(subject)
    plan = deployment.go(settled(release, deployment.observe()))
    assert plan.steps == ()
    assert generations(subject) == before
    for step in deployment.plan(replace(release, recorded=True)).steps:
        subject.target.apply(step, subject.blobs, {"key": deployment.secret}, lambda size: None)
    assert generations(subject) == before


def test_a_volume_begins_with_the_images_content_and_belongs_to_its_writer(
    subject: InCluster, deployment: Deployment, program: bytes
) -> None:
    layer = [
        tar.directory("data", mode=0o750),
        tar.file("data/seed", b"from the image\n", mode=0o644),
        tar.file("server", program, mode=0o755),
        tar.file("mark", subject.app.encode()),
    ]
    layer[0] = replace(layer[0], uid=10001, gid=10001)
    subject.image = image(subject.blobs, "app", [layer], {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]})
    release = replace(only(subject, volumes=(Mount("data", "/data"),)), volumes=(Volume("data", 1 << 20),))
    deployment.go(release)
    assert get(subject, "/read/data/seed") == "from the image\n"
    assert get(subject, "/stat/data") in ("0750 10001 10001\n", "2750 10001 10001\n")
    get(subject, "/write/data/seed")
    changed = with_service(settled(release, deployment.observe()), "web", environment=(("A", ("b",)),))
    deployment.go(changed)
    assert get(subject, "/read/data/seed") == "from the image\nwritten\n"


def test_weights_are_mounted_read_only(subject: InCluster, deployment: Deployment) -> None:
    weights = model(subject.blobs, "words", {"words.txt": subject.app.encode()})
    plan = deployment.go(replace(only(subject, models=(Mount("words", "/models/words"),)), models=(weights,)))
    assert [step.resource for step in plan.steps if step.action is Action.LOAD] == ["image/app", "model/words"]
    assert get(subject, "/read/models/words/words.txt") == subject.app


def test_a_failed_job_says_how_it_ended_and_runs_again_when_asked(subject: InCluster, deployment: Deployment) -> None:
    broken = job("broken", "3", "no good", user="10001:10001")
    release = replace(only(subject), jobs=(broken,), waves=(("web",), ("broken",)))
    steps = deployment.plan(release).steps
    deployment.carry_out([step for step in steps if step.resource != "record/1"])
    deadline = time.monotonic() + 60
    while deployment.observe().of("job/broken")[0].state is not State.FAILED and time.monotonic() < deadline:
        time.sleep(0.5)
    (failed,) = deployment.observe().of("job/broken")
    assert (failed.state, failed.exit_code) == (State.FAILED, 3)
    assert "exit status 3" in failed.detail
    again = deployment.plan(release).steps
    assert [step.cause for step in again if step.resource == "job/broken"] == ["failed before"]


def test_a_schedule_is_kept_and_can_be_run_by_hand(subject: InCluster, deployment: Deployment) -> None:
    nightly = job("nightly", "0", "at night", user="10001:10001", run="0 3 * * *", due=False)
    release = replace(only(subject), jobs=(nightly,))
    deployment.go(release)
    cron = subject.api.get("CronJob", "nightly", subject.app)
    assert cron is not None
    assert cron["spec"]["schedule"] == "0 3 * * *"
    assert deployment.plan(settled(release, deployment.observe())).steps == ()
    by_hand = replace(settled(release, deployment.observe()), jobs=(replace(nightly, due=True),))
    steps = [step for step in deployment.plan(by_hand).steps if step.resource == "job/nightly"]
    deployment.carry_out(steps)
    deployment.wait([Ready("job/nightly", "completed")])


def test_a_changed_service_is_replaced_without_a_gap(subject: InCluster, deployment: Deployment) -> None:
    release = only(subject)
    deployment.go(release)
    before = deployment.observe().of("service/web")[0].id
    changed = with_service(settled(release, deployment.observe()), "web", environment=(("HEALTH", ("bad",)),))
    deployment.carry_out([step for step in deployment.plan(changed).steps if step.action is Action.REPLACE])
    time.sleep(5)
    seen = deployment.observe().of("service/web")
    assert before in [one.id for one in seen], "the old one stays until the new one is healthy"
    assert all(one.state is not State.HEALTHY for one in seen)
    assert get(subject, "/id").startswith("10001:10001")


def test_what_others_manage_is_not_taken_from_them(subject: InCluster, deployment: Deployment) -> None:
    release = only(subject)
    deployment.go(release)
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"revisionHistoryLimit": 7},
    }
    subject.api._call(
        "PATCH",
        f"/apis/apps/v1/namespaces/{subject.app}/deployments/web",
        "taking a field",
        query={"fieldManager": "somebody", "force": "true"},
        body=theirs,
        media_type="application/apply-patch+yaml",
    )
    same = deployment.plan(settled(release, deployment.observe()))
    assert [step.cause for step in same.steps] == ["edited: spec.revisionHistoryLimit (somebody)"]
    (refused,) = subject.target.check(same)
    assert "others manage fields of it" in refused.reason
    with pytest.raises(TargetError, match="somebody") as caught:
        deployment.carry_out(same.steps)
    assert "revisionHistoryLimit" in caught.value.what
    there = subject.api.get("Deployment", "web", subject.app)
    assert there is not None
    assert there["spec"]["revisionHistoryLimit"] == 7
    subject.api.delete("Deployment", "web", subject.app)
    deployment.go(release)
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


def test_what_others_add_to_an_object_or_set_to_the_same_is_no_edit(subject: InCluster, deployment: Deployment) -> None:
    release = only(subject)
    deployment.go(release)
    there = subject.api.get("Deployment", "web", subject.app)
    assert there is not None
    image = there["spec"]["template"]["spec"]["containers"][0]["image"]
    for argv in (
        ["annotate", "deployment/web", "example.com/seen=yes"],
        ["label", "service/web", "team=a"],
        ["set", "image", "deployment/web", f"web={image}"],
        ["scale", "deployment/web", "--replicas=2"],
    ):
        done = subprocess.run(
            ["kubectl", "--namespace", subject.app, *argv], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


def test_what_may_scale_has_an_autoscaler_and_begins_with_its_least(subject: InCluster, deployment: Deployment) -> None:
    resources = Resources(cpus=0.5, memory_bytes=64 << 20)
    release = only(subject, resources=resources, min_instances=2, max_instances=3, scale_cpu=50, doors=())
    deployment.go(replace(release, doors=()))
    scaler = subject.api.get("HorizontalPodAutoscaler", "web", subject.app)
    assert scaler is not None
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageValue"] == "250m"
    deadline = time.monotonic() + 60
    while len(deployment.observe().of("service/web")) < 2 and time.monotonic() < deadline:
        time.sleep(1)
    assert len(deployment.observe().of("service/web")) == 2
    settled_plan = deployment.plan(replace(settled(release, deployment.observe()), doors=()))
    assert settled_plan.steps == ()


def test_a_pod_that_cannot_be_placed_says_why(subject: InCluster, deployment: Deployment) -> None:
    deployment.carry_out(
        [s for s in deployment.plan(only(subject, resources=Resources(memory_bytes=1 << 50))).steps if not s.waits]
    )
    deadline = time.monotonic() + 20
    while not deployment.observe().of("service/web")[0].detail and time.monotonic() < deadline:
        time.sleep(0.5)
    assert "Insufficient memory" in deployment.observe().of("service/web")[0].detail


def test_what_is_rendered_runs_once_kubectl_has_applied_it(subject: InCluster, deployment: Deployment) -> None:
    """With nothing but the images brought, which are not in the manifests."""
    contents = [b"greeting: hello\n  $HOME \n", b" indented\r\n", "\u00e9\u2028\n\n".encode(), b"\xff\x01\xfe"]
    blobs = [subject.blobs.add("text/plain", one) for one in contents]
    files = tuple(FileMount(f"/etc/app/{index}", blob, secret=False) for index, blob in enumerate(blobs))
    release = only(subject, files=files)
    deployment.carry_out([step for step in deployment.plan(release).steps if step.action is Action.LOAD])
    (rendered,) = subject.target.render(release, subject.blobs).values()
    argv = ["kubectl", "apply", "--filename", "-"]
    done = subprocess.run(argv, input=rendered, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    deployment.wait([Ready("service/web", "healthy")])
    (found,) = [
        one for one in subject.api.list("ConfigMap", subject.app) if one["metadata"]["name"].startswith("web-files-")
    ]
    kept = {key: text.encode() for key, text in found["data"].items()}
    kept |= {key: base64.b64decode(text) for key, text in found["binaryData"].items()}
    assert [kept[f"{index}-{index}"] for index in range(4)] == contents
    assert get(subject, "/read/etc/app/0").encode() == contents[0]


@contextmanager
def serving(place: Path, **more: object) -> Iterator[str]:
    """HOST/PATH of the real docker-registry, which the node reaches on this machine."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail('docker-registry is missing: PATH="$(scripts/peers up):$PATH"', pytrace=False)
    port = free_port()
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(place / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        **more,
    }
    (place / "config.yml").write_text(json.dumps(config))
    with subprocess.Popen([program, "serve", place / "config.yml"], stderr=subprocess.DEVNULL) as process:
        while not _listens(port):
            assert process.poll() is None
            time.sleep(0.05)
        yield f"127.0.0.1:{port}/site"
        process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path) as address:
        yield address


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A registry that lets in two users with passwords."""
    (tmp_path / "users").write_text(
        "pusher:$2b$04$Rs1VeNZOLZKM98B7gNAevOud4Chv2d59SxHivZuG//3yaks1eGmgW\n"
        "puller:$2b$04$ADxs5NW0/A6G6w648j2OaOC4ItsBuzOVFJvZzys/ng5bTxFhThZMO\n"
    )
    with serving(tmp_path, auth={"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}) as address:
        yield address


def credentials(registry: str, user: str, password: str) -> str:
    """As docker keeps them, beside those for another registry."""
    pairs = {registry.partition("/")[0]: f"{user}:{password}", "elsewhere.example": "me:mine"}
    auths = {host: {"auth": base64.b64encode(pair.encode()).decode()} for host, pair in pairs.items()}
    return json.dumps({"auths": auths})


@contextmanager
def through(subject: InCluster, registry: str) -> Iterator[Deployment]:
    importing = subject.target
    subject.target = KubernetesTarget(Settings(registry=registry))
    deployment = Deployment(subject, subject.app)
    yield deployment
    deployment.remove(volumes=True)
    pulled = [name for name in subject.node.images() if name.startswith(registry)]
    if pulled:
        subject.node.remove(*pulled)
    subject.target = importing
    assert subject.remains(subject.app) == []


@pytest.fixture
def by_registry(subject: InCluster, registry: str) -> Iterator[Deployment]:
    with through(subject, registry) as deployment:
        yield deployment


def test_nodes_pull_from_the_registry_of_the_site(subject: InCluster, by_registry: Deployment) -> None:
    weights = model(subject.blobs, "words", {"words.txt": subject.app.encode()})
    volumes = (Mount("data", "/data"),)
    release = replace(
        only(subject, models=(Mount("words", "/models/words"),), volumes=volumes),
        models=(weights,),
        volumes=(Volume("data", 1 << 20),),
    )
    by_registry.go(release)
    assert get(subject, "/read/models/words/words.txt") == subject.app
    (pod,) = subject.api.list("Pod", subject.app)
    assert pod["spec"]["containers"][0]["image"].startswith("127.0.0.1:")
    again = replace(settled(release, by_registry.observe()), recorded=True)
    assert by_registry.plan(again).steps == ()
    without_saying = KubernetesTarget(Settings()).plan(again, by_registry.observe())
    assert (without_saying.steps, without_saying.refused) == ((), ()), "the record names the registry"


def test_nodes_pull_with_the_credentials_that_the_site_gives(
    subject: InCluster, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(credentials(guarded, "pusher", "push-me"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    secret = names.pull_secret(subject.app)
    release = only(subject)
    with through(subject, guarded) as deployment:
        steps = deployment.plan(release).steps
        deployment.carry_out([step for step in steps if step.resource != "record/1"])
        assert "authoriz" in said(deployment, "--pull-secret-from"), "nothing is copied without being told"
        assert subject.api.get("Secret", secret, subject.app) is None

        given = Settings(registry=guarded, pull_config=credentials(guarded, "puller", "pull-me"))
        subject.target = KubernetesTarget(given)
        plan = deployment.go(settled(release, deployment.observe()))
        assert [step.id for step in plan.steps][-3:] == ["store pull-secret", "replace service/web", "store record/1"]
        assert "pull-me" not in repr(plan) + repr(given) + repr(deployment.observe())
        kept = subject.api.get("Secret", secret, subject.app)
        assert kept is not None
        assert list(json.loads(base64.b64decode(kept["data"][".dockerconfigjson"]))["auths"]) == [guarded[:-5]]

        pods = deployment.identities()
        for settings in (given, Settings(), Settings(registry=guarded)):
            subject.target = KubernetesTarget(settings)
            assert deployment.plan(settled(release, deployment.observe())).steps == ()

        other = credentials(guarded, "pusher", "push-me")
        subject.target = KubernetesTarget(Settings(registry=guarded, pull_config=other))
        plan = deployment.go(settled(release, deployment.observe()))
        assert [(step.id, step.cause) for step in plan.steps] == [("store pull-secret", "other credentials")]
        assert deployment.identities() == pods

        subject.target = KubernetesTarget(Settings(registry=guarded, pull_secret=""))
        steps = deployment.plan(settled(release, deployment.observe())).steps
        deployment.carry_out([step for step in steps if step.id == "remove pull-secret"])
        assert subject.api.get("Secret", secret, subject.app) is None
        subject.target = KubernetesTarget(Settings())
        (note,) = subject.target.plan(settled(release, deployment.observe()), deployment.observe()).refused
        assert "--pull-secret-from" in note.reason


def said(deployment: Deployment, word: str) -> str:
    """What the only pod says of itself, once the word is in it."""
    deadline = time.monotonic() + 60
    while word not in (detail := deployment.observe().of("service/web")[0].detail) and time.monotonic() < deadline:
        time.sleep(0.5)
    return detail


def test_a_registry_that_is_not_there_is_named(subject: InCluster, deployment: Deployment) -> None:
    target = KubernetesTarget(Settings(registry=f"127.0.0.1:{free_port()}/site"))
    (load,) = [s for s in target.plan(only(subject), deployment.observe()).steps if s.resource == "image/app"]
    with pytest.raises(TargetError, match="cannot be reached"):
        target.apply(load, subject.blobs, {}, lambda size: None)


def test_a_cluster_that_does_not_answer_is_named(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="no-such-context"):
        Api("no-such-context").version  # noqa: B018
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")
    with pytest.raises(TargetError, match="no cluster to talk to"):
        KubernetesTarget(Settings(context="c")).observe("app")
