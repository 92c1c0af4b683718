"""Model weights on clusters without image volumes: copied into each pod."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace

import kubernetes_validate
import pytest
from clusters import InCluster
from engine_sample import Fixed
from images import image, model
from k8s_sample import FEATURES, SETTINGS, Json, full, in_place, made, nothing, owner, plan, released, running
from test_k8s_life import get, only

from bundler.model.graph import Gpus, Mount, Resources
from bundler.model.observed import Observed, State
from bundler.model.plan import Verdict
from bundler.model.release import Release
from targets import tar
from targets.helper import binary
from targets.k8s import cluster as facts
from targets.k8s import init_containers, names, weights
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.ground import image_volumes
from targets.k8s.instances import instances
from targets.k8s.room import requests
from targets.k8s.target import KubernetesTarget
from targets.sample import Deployment, job, settled, with_service

OLD = FEATURES - {facts.IMAGE_VOLUMES}
OLD_VERSIONS = ("1.29", "1.34")
MODELS = {
    "words": {"a.bin": b"one" * 1000, "part/b $x.txt": b"two\n", "part/deep/c": b""},
    "other": {"x": bytes(3 << 20)},
}


def weighted(*mounts: Mount, files: Mapping[str, Mapping[str, bytes]] = MODELS, **web: object) -> Release:
    """The sample, whose `web` mounts models."""
    blobs = Fixed().blobs
    models = tuple(model(blobs, name, found) for name, found in files.items())
    return replace(released(models=mounts or (Mount("words", "/models/words"),), **web), models=models)


def template(release: Release, name: str, features: frozenset[str] = OLD) -> Json:
    """The pod's, of whatever kind of workload."""
    spec = made(release, features)[name].main.body["spec"]
    found: Json = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    return found


def copying(spec: Json) -> list[Json]:
    return [one for one in spec.get("initContainers", ()) if one["name"].startswith(weights.CONTAINER)]


def of_models(found: list[Json]) -> list[Json]:
    return [one for one in found if one["name"].startswith(weights.VOLUME)]


def test_a_pod_copies_weights_out_of_the_models_own_image() -> None:
    release = weighted()
    spec = template(release, "web")
    assert [one["name"] for one in spec["initContainers"]] == ["bundle-helper", "bundle-model-0"]
    (copy,) = copying(spec)
    assert copy["image"] == Cluster.of(release, nothing(OLD), SETTINGS).reference(release.model("words").reference)
    assert copy["command"] == ["/.bundle/helper", "seed", "/", "/.bundle-volume/weights", "a.bin", "part"]
    assert of_models(spec["volumes"]) == [{"name": "model-0", "emptyDir": {}}]
    mount = {"name": "model-0", "mountPath": "/models/words", "subPath": "weights", "readOnly": True}
    assert of_models(spec["containers"][0]["volumeMounts"]) == [mount]


def test_the_copying_container_is_the_workloads_user_and_fit_for_pod_security() -> None:
    (copy,) = copying(template(weighted(), "web"))
    assert copy["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "runAsUser": 10002,
        "runAsGroup": 10002,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    release = replace(weighted(), services=weighted().services[1:], jobs=())
    assert made(release, OLD)["web"].level == "restricted"


def test_what_is_done_before_a_pod_starts_may_use_what_the_pod_may() -> None:
    """A quota on limits wants them of every container, and GPUs are for the workload's own."""
    asked = Resources(cpus=2, memory_bytes=1 << 30, gpus=Gpus(1, required=True))
    spec = template(with_service(weighted(), "web", resources=asked), "web", OLD | {facts.NVIDIA})
    (own,) = spec["containers"]
    assert own["resources"]["limits"] == {"cpu": "2000m", "memory": str(1 << 30), "nvidia.com/gpu": "1"}
    helper, copy = spec["initContainers"]
    assert helper["resources"]["limits"] == copy["resources"]["limits"] == {"cpu": "2000m", "memory": str(1 << 30)}
    assert helper["resources"]["requests"] == own["resources"]["requests"]
    assert copy["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert requests(spec)["memory"] == (1 << 30) * 1000


def test_names_reach_the_helper_as_they_are() -> None:
    (copy,) = copying(template(weighted(files={"words": {"$(A) $$": b"x", "-v": b"y"}}), "web"))
    assert copy["command"][4:] == ["$$(A) $$$$", "-v"]


def test_several_mounts_of_a_model_are_one_copy() -> None:
    release = weighted(Mount("words", "/a"), Mount("other", "/b"), Mount("words", "/c"))
    for features, containers in ((OLD, 2), (FEATURES, 0)):
        spec = template(release, "web", features)
        assert len(copying(spec)) == containers
        assert [one["name"] for one in of_models(spec["volumes"])] == ["model-0", "model-1"]
        there = of_models(spec["containers"][0]["volumeMounts"])
        assert [(one["mountPath"], one["name"]) for one in there] == [
            ("/a", "model-0"),
            ("/b", "model-1"),
            ("/c", "model-0"),
        ]


def test_room_for_all_weights_is_asked_for_once() -> None:
    release = weighted(Mount("words", "/a"), Mount("other", "/b"), Mount("words", "/c"))
    whole = sum(layer.size_bytes for one in release.models for layer in one.layers)
    asked = [one["resources"] for one in copying(template(release, "web"))]
    assert asked == [{"requests": {"ephemeral-storage": str(whole)}}] * 2, "the most of any is what counts"


def test_volumes_are_seeded_beside_it_with_one_helper() -> None:
    spec = template(weighted(volumes=(Mount("data", "/data"),)), "web")
    names = [one["name"] for one in spec["initContainers"]]
    assert names == ["bundle-helper", "bundle-volume-0", "bundle-model-0"]
    assert [one["name"] for one in spec["volumes"]].count("helper") == 1


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_jobs_workers_and_schedules_copy_too(version: str) -> None:
    mount = (Mount("words", "/models"),)
    release = full()
    release = replace(release, jobs=tuple(replace(one, models=mount) for one in release.jobs))
    for name, each in made(release, OLD).items():
        kubernetes_validate.validate(each.main.body, version, strict=True)
        if each.workload.models:
            assert len(copying(template(release, name))) == 1, name
    assert {"CronJob", "Job", "StatefulSet", "Deployment"} == {each.main.kind for each in made(release, OLD).values()}


def test_the_plan_says_how_much_is_copied() -> None:
    release = weighted(Mount("words", "/a"), Mount("other", "/b"))
    (note,) = (one for one in plan(release, nothing(OLD)).notes if one.feature == "models")
    assert (note.resource, note.verdict) == ("service/web", Verdict.ADAPTED)
    assert "copied into each pod at its start (4 MiB)" in note.reason
    assert "Kubernetes 1.35" in note.reason
    assert "models" not in [one.feature for one in plan(release).notes]


@pytest.mark.parametrize("path", ["dev/train.tsv", "etc/x", "proc", "sys/x", ".bundle/x", ".bundle-volume/x"])
def test_a_model_with_names_of_every_container_is_refused(path: str) -> None:
    release = weighted(files={"words": {path: b"x", "devices/x": b"y"}})
    (note,) = plan(release, nothing(OLD)).refused
    name = path.partition("/")[0]
    assert f"{name} of model words cannot be copied" in note.reason
    assert plan(release).refused == ()


def test_a_model_of_too_many_names_for_a_pod_is_refused() -> None:
    many = {f"{index:0100}": b"" for index in range(1400)}
    (note,) = plan(weighted(files={"words": many}), nothing(OLD)).refused
    assert "1,400 names" in note.reason
    assert plan(weighted(files={"words": {f"in/{name}": b"" for name in many}}), nothing(OLD)).refused == ()


def test_the_places_of_init_containers_are_among_the_names_that_are_taken() -> None:
    assert init_containers.VOLUME_ROOT.strip("/") in weights.TAKEN


def test_a_newer_cluster_restarts_nothing_that_copies() -> None:
    base = weighted(Mount("words", "/a"), Mount("other", "/b"))
    release = replace(settled(base, in_place(base)), recorded=True)
    observed = in_place(release)
    older = replace(observed, host=replace(observed.host, features=observed.host.features - {facts.IMAGE_VOLUMES}))
    assert plan(release, older).steps == ()
    assert plan(release, observed).steps == ()


@pytest.mark.parametrize("settings", [SETTINGS, Settings(registry="registry.example/site")])
def test_the_helper_is_brought_where_weights_are_copied(settings: Settings) -> None:
    base = weighted()
    release = replace(base, services=base.services[1:], jobs=(), volumes=(), waves=(("web",),))
    steps = {step.id: step for step in plan(release, nothing(OLD), settings).steps}
    assert "create helper" in steps["create service/web"].after
    assert "create helper" not in [step.id for step in plan(release, nothing(), settings).steps]


def test_a_pod_that_copies_says_so() -> None:
    found = running("s2", ready=False)
    going = {"name": "bundle-model-0", "state": {"running": {"startedAt": "now"}}}
    waiting = {"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}}
    found["status"] = {"phase": "Pending", "initContainerStatuses": [going], "containerStatuses": [waiting]}
    (one,) = instances({"Deployment": [owner()]}, [found], {}, "sample")
    assert (one.state, one.detail) == (State.CREATED, "its weights are being copied")


@pytest.mark.parametrize(
    ("version", "kubelet", "runtime", "expected"),
    [
        ((1, 36), "v1.36.3", "containerd://2.1.9", True),
        ((1, 35), "v1.35.0+k3s1", "containerd://v2.1.4-k3s2", True),
        ((1, 35), "v1.35.1", "cri-o://1.33.0", True),
        ((1, 34), "v1.34.1", "containerd://2.1.9", False),
        ((1, 35), "v1.34.1", "containerd://2.1.9", False),
        ((1, 35), "v1.35.1", "containerd://1.7.28", False),
        ((1, 35), "v1.35.1", "containerd://2.0.5", False),
        ((1, 35), "", "", True),
    ],
)
def test_image_volumes_are_there_where_every_node_has_them(
    version: tuple[int, int], kubelet: str, runtime: str, *, expected: bool
) -> None:
    def node(kubelet: str, runtime: str) -> Json:
        return {"status": {"nodeInfo": {"kubeletVersion": kubelet, "containerRuntimeVersion": runtime}}}

    assert image_volumes(version, [node("v1.36.0", "containerd://2.2.0"), node(kubelet, runtime)]) is expected
    assert image_volumes((1, 35), []), "nobody may look at the nodes"


def test_rendered_weights_say_what_they_need() -> None:
    (rendered,) = KubernetesTarget(SETTINGS).render(weighted(), Fixed().blobs).values()
    assert "# Weights are image volumes, which come with Kubernetes 1.35" in rendered
    (plain,) = KubernetesTarget(SETTINGS).render(released(), Fixed().blobs).values()
    assert "Weights" not in plain


# on a real cluster, looked at as if it were an older one


class Older(KubernetesTarget):
    """The adapter, to which no node can mount an image."""

    def observe(self, app: str) -> Observed:
        observed = super().observe(app)
        return replace(observed, host=replace(observed.host, features=observed.host.features - {facts.IMAGE_VOLUMES}))


@pytest.fixture
def subject(program: bytes) -> InCluster:
    """Its image has the helper too, which reads files for tests."""
    fresh = InCluster(program)
    fresh.target = Older(fresh.target.settings, fresh.api)
    helper = tar.file("cat", binary("amd64" if os.uname().machine == "x86_64" else "arm64"), mode=0o755)
    layer = [tar.directory("tmp", mode=0o1777), tar.file("server", program, mode=0o755), helper]
    mark = [tar.file("app", fresh.app.encode())]
    fresh.image = image(fresh.blobs, "app", [layer, mark], {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]})
    return fresh


def serving(subject: InCluster) -> Json:
    """The pod of the service."""
    found = subject.api.list("Pod", subject.app, labels={names.NODE: "web"})
    (pod,) = (one for one in found if not one["metadata"].get("deletionTimestamp"))
    return pod


def as_another(subject: InCluster, path: str) -> bytes:
    """A file of the service's container, read by a user that it knows nothing of."""
    container = serving(subject)["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    ctr = ["ctr", "--address", os.environ["CONTAINERD_ADDRESS"], "--namespace", "k8s.io"]
    words = ["tasks", "exec", "--exec-id", "another", "--user", "4711:4711", container, "/cat", "cat", path]
    done = subprocess.run([*ctr, *words], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.cluster
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("user", "level"), [("10001:10001", "restricted"), ("0:0", "baseline")])
def test_copied_weights_are_there_to_the_byte_for_everyone_and_read_only(
    subject: InCluster, deployment: Deployment, user: str, level: str
) -> None:
    files = {"large.bin": os.urandom(3 << 20), "part/b $x.txt": subject.app.encode(), "$(A)": b"a"}
    words = model(subject.blobs, "words", files)
    mounted = (Mount("words", "/models/words"), Mount("words", "/again"))
    words_of_job = (("/cat",), ("cat",), ("/models/words/part/b $x.txt",))
    shown = job("shown", user=user, models=mounted[:1], entrypoint=words_of_job, command=None)
    base = only(subject, models=mounted, user=user)
    release = replace(base, models=(words,), jobs=(shown,), waves=(("web", "shown"),))
    notes = deployment.go(release).notes
    assert [note.feature for note in notes if note.feature == "models"] == ["models"] * 2
    namespace = subject.api.get("Namespace", subject.app)
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level
    for place in ("/models/words", "/again"):
        for path, content in files.items():
            assert as_another(subject, f"{place}/{path}") == content
    modes = [get(subject, f"/stat/models/words{path}").split()[0][1:] for path in ("", "/part", "/large.bin")]
    assert modes == ["755", "755", "644"]
    with pytest.raises(AssertionError, match="404"):
        get(subject, "/write/models/words/large.bin")
    (line,) = subject.target.logs(subject.app, "shown", follow=False, since=None, tail=None)
    assert line.text == subject.app

    assert deployment.plan(settled(release, deployment.observe())).steps == ()
    pods = deployment.identities()
    subject.target = KubernetesTarget(subject.target.settings, subject.api)
    assert deployment.plan(settled(release, deployment.observe())).steps == (), "an upgraded cluster restarts nothing"
    assert deployment.identities() == pods
    changed = with_service(settled(release, deployment.observe()), "web", environment=(("A", ("b",)),))
    deployment.go(changed)
    assert as_another(subject, "/again/large.bin") == files["large.bin"]
    assert ["image" in one for one in serving(subject)["spec"]["volumes"]] == [True], "what is replaced needs no copy"
