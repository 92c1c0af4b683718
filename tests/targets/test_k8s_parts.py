"""The pure parts of the Kubernetes adapter, without a cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from engine_sample import Fixed, text
from hypothesis import example, given, settings
from hypothesis import strategies as st
from images import AMD64, model

from bundler.errors import UsageError
from bundler.model.graph import Condition, Gpus, Healthcheck, Mount, Resources, Volume
from bundler.model.observed import Host, Instance, LogLine, Observed, State, Thing
from bundler.model.plan import Plan, Ready, Verdict
from bundler.model.release import FileMount, Need, Release, ReleaseDoor
from targets.k8s import cluster as facts
from targets.k8s import logs, names, objects, planning, pulling, seeds
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.files import LIMIT_BYTES
from targets.k8s.instances import instances
from targets.k8s.objects import Made
from targets.k8s.target import KubernetesTarget, create
from targets.sample import job, sample, service, settled, with_service

FEATURES = frozenset({facts.IMAGE_VOLUMES, facts.SLEEP, facts.STORAGE})
ALL = FEATURES | {facts.METRICS, facts.INGRESS, facts.NVIDIA}
SOCKET = "/run/containerd.sock"
SETTINGS = Settings(sockets=(SOCKET,))
VERSIONS = ("1.35", "1.36", "1.37")

Json = dict[str, Any]


def host(features: frozenset[str] = FEATURES) -> Host:
    return Host(AMD64, "kubernetes", "1.36", features)


def nothing(features: frozenset[str] = FEATURES) -> Observed:
    return Observed("sample", host(features))


def released(**web: object) -> Release:
    release = sample(Fixed())  # type: ignore[arg-type]  # the rest of a subject is not used
    return with_service(release, "web", **web) if web else release


def plan(release: Release | None, observed: Observed | None = None, settings: Settings = SETTINGS) -> Plan:
    return KubernetesTarget(settings).plan(release, observed or nothing())


def made(release: Release, features: frozenset[str] = FEATURES) -> Mapping[str, Made]:
    observed = nothing(features)
    cluster = Cluster.of(release, observed, SETTINGS)
    return {each.workload.name: each for each in objects.workloads(release, observed.host, cluster)}


def pod(release: Release, name: str, features: frozenset[str] = FEATURES) -> Json:
    body = made(release, features)[name].main.body
    found: Json = body["spec"]["template"]["spec"]
    return found


def container(release: Release, name: str, features: frozenset[str] = FEATURES) -> Json:
    found: Json = pod(release, name, features)["containers"][0]
    return found


def in_place(release: Release, settings: Settings = SETTINGS) -> Observed:
    """What a cluster shows when everything of the release is there."""
    cluster = Cluster.of(release, nothing(), settings)
    wanted = [*objects.volumes(release, cluster), *objects.pull_secret(release, cluster)]
    for each in objects.workloads(release, host(), cluster):
        wanted += each.files
        wanted += each.running if each.workload.resource.startswith("service/") else ()
    things = [Thing(one.resource, one.id, one.spec) for one in wanted]
    things += [Thing("secrets", "Secret/sample-secrets", "1")]
    things += [Thing(f"image/{one.name}", one.reference, SOCKET) for one in cluster.images.values()]
    things += [Thing("image/helper", cluster.helper.reference, SOCKET)]
    features = FEATURES | {facts.NAMESPACE, facts.OWN_NAMESPACE, facts.ENFORCES + "baseline"}
    return Observed("sample", host(features), things=tuple(things))


# planning


def test_needs_are_waited_for() -> None:
    changed = released(needs=(Need("store", Condition.HEALTHY),))
    (web,) = [step for step in plan(changed).steps if step.resource == "service/web"]
    assert web.waits == (Ready("service/store", "healthy"),)


def test_a_first_deploy_is_in_order() -> None:
    assert [step.id for step in plan(released()).steps] == [
        "create namespace",
        "load image/app",
        "create helper",
        "create volume/data",
        "store secrets",
        "create files/web",
        "create service/store",
        "run job/seed",
        "create service/web",
        "store record/1",
    ]


def test_what_is_in_place_gives_no_steps() -> None:
    release = settled(released(), in_place(released()))
    assert plan(replace(release, recorded=True), in_place(release)).steps == ()


def test_a_newer_cluster_restarts_nothing() -> None:
    release = replace(settled(released(), in_place(released())), recorded=True)
    observed = in_place(release)
    later = replace(observed, host=replace(observed.host, version="1.40", features=observed.host.features | ALL))
    assert plan(release, later).steps == ()


def test_what_a_plan_says_is_text_and_stable() -> None:
    assert text(plan(released())) == text(plan(released()))
    assert "pl$in" not in json.dumps([dict(step.payload) for step in plan(released()).steps])


def test_without_a_way_to_the_nodes_the_choices_are_named() -> None:
    (note,) = plan(released(), settings=Settings()).refused
    assert "--containerd" in note.reason
    assert "--registry" in note.reason


def test_a_registry_is_remembered_by_the_record() -> None:
    settings = Settings(registry="registry.example/site")
    release = released()
    image_name = container(release, "web")["image"]
    steps = {step.id: step for step in plan(release, settings=settings).steps}
    assert steps["load image/app"].payload["do"] == "push"
    assert steps["load image/app"].payload["reference"] == image_name.replace("bundle.local", "registry.example/site")
    told = nothing(FEATURES | {facts.PULLS_FROM + "registry.example/site"})
    assert Cluster.of(release, told, Settings()).registry == "registry.example/site"
    assert Cluster.of(release, told, Settings(imports=True)).registry is None


def test_every_pod_pulls_with_the_sites_secret() -> None:
    settings = Settings(registry="registry.example/site", pull_secret="site")
    cluster = Cluster.of(full(), nothing(), settings)
    for each in objects.workloads(full(), host(), cluster):
        body = each.main.body["spec"]
        template = (body["jobTemplate"]["spec"] if each.main.kind == "CronJob" else body)["template"]
        assert template["spec"]["imagePullSecrets"] == [{"name": "site"}]


REGISTRY = "registry.example:5000/site"
PAIR = base64.b64encode(b"puller:secret").decode()


def test_credentials_are_those_of_the_registry_alone() -> None:
    hosts = ("registry.example:5000", "https://registry.example:5000/v1/", "registry.example:5000/site")
    for key in hosts:
        given = json.dumps({"auths": {key: {"auth": PAIR, "email": "x"}, "registry.example": {"auth": PAIR}}})
        assert json.loads(pulling.document(given, REGISTRY)) == {"auths": {key: {"auth": PAIR}}}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("no json", "no docker config.json"),
        ("[]", "no docker config.json"),
        ("{}", "no user and password for registry.example:5000"),
        ('{"auths": {"registry.example:5000": {}}, "credsStore": "desktop"}', "docker-credential-desktop keeps them"),
        (json.dumps({"auths": {"registry.example:5000": {"auth": "bm9jb2xvbg=="}}}), "no user and password"),
        (json.dumps({"auths": {"elsewhere": {"auth": PAIR}}}), "no user and password"),
    ],
)
def test_credentials_that_are_of_no_use_are_refused(given: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        pulling.document(given, REGISTRY)
    assert "docker --config ./pull login registry.example:5000" in str(caught.value.hint)


def test_a_pull_secret_is_made_once_and_goes_when_it_is_not_wanted() -> None:
    given = Settings(registry=REGISTRY, pull_config="{}")
    release = replace(settled(released(), nothing()), recorded=True)
    before = {facts.PULLS_FROM + REGISTRY, facts.PULLS_WITH + "sample-bundle-pull", facts.CREDENTIALS_SAME}
    there = in_place(release, given)
    there = replace(there, host=replace(there.host, features=there.host.features | before))
    assert [step.id for step in plan(released(), settings=given).steps if "pull" in step.id] == ["store pull-secret"]
    assert plan(release, there, given).steps == ()
    assert plan(release, there, Settings()).steps == ()
    for other in (Settings(registry="other.example/x"), Settings(registry=REGISTRY, pull_secret="")):
        ids = [step.id for step in plan(release, there, other).steps]
        assert "remove pull-secret" in ids
        assert "store record/1" in ids, "the record says where the nodes pull from"
    assert "remove pull-secret" in [step.id for step in plan(None, there, Settings()).steps]


def test_a_pull_secret_that_is_not_there_is_told() -> None:
    named = plan(released(), settings=Settings(registry=REGISTRY, pull_secret="site"))
    (reason,) = [note.reason for note in named.notes if note.feature == "credentials"]
    assert "Secret site is not in namespace sample" in reason
    assert named.refused == ()
    gone = nothing(FEATURES | {facts.PULLS_FROM + REGISTRY, facts.PULLS_WITH + "sample-bundle-pull"})
    (note,) = plan(released(), gone, Settings()).refused
    assert "--pull-secret-from FILE" in note.reason


def test_one_way_of_naming_a_pull_secret_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    options = {"pull_secret_from": str(tmp_path / "config.json")}
    assert create(options).settings.pull_config == "{}"  # type: ignore[attr-defined]  # the adapter's own
    with pytest.raises(UsageError, match="say two things"):
        create({**options, "pull_secret": "site"})
    with pytest.raises(UsageError, match="No such file"):
        create({"pull_secret_from": str(tmp_path / "none")})


def test_an_unknown_word_of_placement_is_refused() -> None:
    release = replace(released(), placement=(("services.web", (("gpu_clas", "nvidia"),)),))
    (note,) = plan(release).refused
    assert "gpu_class" in note.reason


def test_a_foreign_object_of_a_needed_name_is_refused() -> None:
    observed = replace(nothing(), things=(Thing("service/web", "Service/web", "", foreign=True),))
    (note,) = plan(released(), observed).refused
    assert "Service/web" in note.reason
    other = replace(nothing(), things=(Thing("service/other", "Service/other", "", foreign=True),))
    assert plan(released(), other).refused == ()


def test_a_namespace_of_somebody_else_is_checked_and_left_alone() -> None:
    there = FEATURES | {facts.NAMESPACE}
    assert "create namespace" not in [step.id for step in plan(released(), nothing(there)).steps]
    (note,) = plan(released(), nothing(there | {facts.ENFORCES + "restricted"})).refused
    assert "job/seed needs baseline" in note.reason
    assert plan(released(), nothing(there | {facts.ENFORCES + "privileged"})).refused == ()


def test_a_namespace_is_only_removed_if_it_is_ours_and_nothing_else_is_in_it() -> None:
    ours = FEATURES | {facts.NAMESPACE, facts.OWN_NAMESPACE}
    (step,) = plan(None, nothing(ours)).steps
    assert (step.id, step.loses_data) == ("remove namespace", True)
    assert plan(None, nothing(FEATURES | {facts.NAMESPACE})).steps == ()
    assert plan(None, nothing(ours | {facts.FOREIGN})).steps == ()


def test_a_missing_default_storage_class_is_refused() -> None:
    (note,) = plan(released(), nothing(FEATURES - {facts.STORAGE})).refused
    assert "StorageClass" in note.reason


def test_a_file_that_no_configmap_holds_is_refused() -> None:
    large = replace(Fixed().config, size_bytes=LIMIT_BYTES + 1)
    (note,) = plan(released(files=(FileMount("/etc/x", large, secret=False),))).refused
    assert note.feature == "file /etc/x"


def test_configs_are_split_where_one_map_does_not_hold_them() -> None:
    half = replace(Fixed().config, size_bytes=LIMIT_BYTES // 2 + 1)
    files = tuple(FileMount(f"/etc/{name}", half, secret=False) for name in "abc")
    assert [one.kind for one in made(released(files=files, environment=()))["web"].files] == ["ConfigMap"] * 3


# pods


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, None, (None, None)),
        (None, (("a",),), (None, ["a"])),
        ((("p",),), None, (["p"], None)),
        ((("p",),), (("a",),), (["p"], ["a"])),
        ((), (("p",), ("a",)), (["p", "a"], None)),
    ],
)
def test_entrypoint_and_command_change_names(entrypoint: Any, command: Any, expected: Any) -> None:
    found = container(released(entrypoint=entrypoint, command=command), "web")
    assert (found.get("command"), found.get("args")) == expected


def test_every_pod_is_closed() -> None:
    for name in ("store", "web", "seed"):
        spec = pod(released(), name)
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    web = pod(released(), "web")
    assert web["securityContext"]["runAsNonRoot"] is True
    assert web["containers"][0]["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_keeps_data_has_one_pod_at_a_time() -> None:
    assert made(released())["store"].main.kind == "StatefulSet"
    assert made(released())["web"].main.kind == "Deployment"
    assert made(released())["web"].main.body["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_a_volume_begins_as_the_first_mounter_has_it_and_belongs_to_the_first_writer() -> None:
    release = released(volumes=(Mount("data", "/elsewhere", read_only=True),))
    seed = seeds.seeds(release, Cluster.of(release, nothing(), SETTINGS))["data"]
    assert (seed.path, seed.user, seed.shared) == ("/data", "10001:10001", True)
    for name in ("store", "web"):
        spec = pod(release, name)
        assert [one["name"] for one in spec["initContainers"]] == ["bundle-helper", "bundle-volume-0"]
        assert spec["initContainers"][1]["securityContext"]["runAsUser"] == 10001
        (term,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["labelSelector"]["matchLabels"] == {names.together("data"): "shared"}


def test_cpus_are_a_ceiling_and_scaling_goes_by_it() -> None:
    resources = Resources(cpus=2, memory_bytes=1 << 20)
    changes: dict[str, object] = {"resources": resources, "min_instances": 1, "max_instances": 4, "scale_cpu": 70}
    release = released(**changes)
    found = container(release, "web")["resources"]
    assert (found["limits"]["cpu"], found["requests"]["cpu"]) == ("2000m", "200m")
    assert made(release)["web"].main.replicas == 1
    assert "scale" in [note.feature for note in plan(release).notes]
    scaled = made(release, ALL)["web"]
    assert scaled.main.replicas is None
    autoscaler = next(one for one in scaled.around if one.kind == "HorizontalPodAutoscaler")
    assert autoscaler.body["spec"]["metrics"][0]["resource"]["target"]["averageValue"] == "1400m"


def test_a_metrics_server_that_is_down_for_a_moment_takes_nothing_from_the_autoscaler() -> None:
    resources = Resources(cpus=2, memory_bytes=1 << 20)
    release = released(resources=resources, min_instances=1, max_instances=4, scale_cpu=70)
    down = ALL | {facts.SILENT_METRICS}
    assert made(release, down)["web"].main == made(release, ALL)["web"].main
    (note,) = (one for one in plan(release, nothing(down)).notes if one.feature == "scale")
    assert (note.verdict, "until" in note.reason) == (Verdict.ADAPTED, True)


def test_gpus_are_asked_for_where_there_are_any() -> None:
    wanted = Resources(gpus=Gpus(1, required=True))
    (note,) = plan(released(resources=wanted)).refused
    assert note.feature == "gpus"
    assert container(released(resources=wanted), "web", ALL)["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert plan(released(resources=Resources(gpus=Gpus(1, required=False)))).refused == ()


def test_a_door_with_a_host_is_an_ingress() -> None:
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", 8080, host="web.example", tls="cert")
    ingress = next(one for one in made(released(doors=(door,)))["web"].around if one.kind == "Ingress")
    assert ingress.body["spec"]["tls"] == [{"hosts": ["web.example"], "secretName": "cert"}]


def test_a_certificate_that_is_not_there_is_told() -> None:
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", 8080, host="web.example", tls="cert")
    release, there = released(doors=(door,)), Thing("secret/cert", "Secret/cert", "", foreign=True)

    def told(observed: Observed) -> list[tuple[Verdict, str]]:
        notes = [note for note in plan(release, observed).notes if note.feature == "publish front tls"]
        return [(note.verdict, note.reason) for note in notes]

    served = nothing(FEATURES | {facts.INGRESS})
    reason = "Secret cert is not in namespace sample; its certificate is served once it is"
    assert told(served) == [(Verdict.ADAPTED, reason)]
    assert told(replace(served, things=(there,))) == []
    assert told(nothing()) == [], "nothing serves it"
    assert told(replace(served, hidden="somebody may not list secrets")) == []


# everything at once, against the schemas


def full() -> Release:
    """Every feature that has a form of its own in a manifest."""
    fixed = Fixed()
    weights = model(fixed.blobs, "words", {"words.txt": b"a\n"})
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", 8080, host="web.example")
    web = service(
        "web",
        doors=(door,),
        models=(Mount("words", "/models"),),
        volumes=(Mount("data", "/data", read_only=True),),
        resources=Resources(1, 64 << 20, 8 << 20, Gpus(1)),
        min_instances=1,
        max_instances=3,
        scale_cpu=50,
        user="1000:1000",
        cap_add=("NET_BIND_SERVICE",),
        init=True,
        working_dir="/",
        liveness=Healthcheck(None, True, None, None),
    )
    jobs = (
        job(
            "train", "0", run="manual", due=False, min_workers=1, max_workers=3, ranked=True, timeout_s=60.0, retries=2
        ),
        job("nightly", "0", run="0 3 * * *", due=False),
        job("first", "0"),
    )
    base = sample(fixed)  # type: ignore[arg-type]  # the rest of a subject is not used
    return replace(
        base,
        services=(*(one for one in base.services if one.name == "store"), web),
        jobs=jobs,
        models=(weights,),
        volumes=(Volume("data", 1 << 20),),
        doors=(door,),
        waves=(("store",), ("web",), ("first",)),
    )


def documents(release: Release) -> list[Json]:
    (rendered,) = KubernetesTarget(SETTINGS).render(release, Fixed().blobs).values()
    return list(yaml.safe_load_all(rendered))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_rendered_fits_the_schemas(version: str) -> None:
    for document in [*documents(full()), *documents(released())]:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_applied_fits_the_schemas(version: str) -> None:
    for each in made(full(), ALL).values():
        for one in (*each.files, *each.running):
            kubernetes_validate.validate(one.body, version, strict=True)


def test_rendered_workloads_wait_for_what_they_need() -> None:
    web = next(one for one in documents(released()) if one["kind"] == "Deployment")
    assert [one["name"] for one in web["spec"]["template"]["spec"]["initContainers"]] == ["wait-store"]


def test_rendering_names_what_it_leaves_out() -> None:
    (rendered,) = KubernetesTarget(SETTINGS).render(released(), Fixed().blobs).values()
    assert "secret key, percent-encoded" in rendered
    assert "service/web does not wait for job seed" in rendered


def configured(*contents: bytes) -> tuple[str, Json]:
    """What is rendered where `web` has these config files, and the ConfigMap with all of them."""
    fixed = Fixed()
    blobs = [fixed.blobs.add("text/plain", content) for content in contents]
    files = tuple(FileMount(f"/etc/{index}", blob, secret=False) for index, blob in enumerate(blobs))
    (rendered,) = KubernetesTarget(SETTINGS).render(released(files=files), fixed.blobs).values()
    maps = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "ConfigMap"]
    return rendered, maps[0] if maps else {}


@settings(max_examples=25, deadline=None)
@given(st.text())
@example("\r\n \n\ttext\x00\u2028\ufeff end \n\n")
@example(" indented\nlines\n")
@example("\x85")
def test_rendered_configs_hold_the_bundles_files_to_the_letter(content: str) -> None:
    assert configured(content.encode())[1]["data"] == {"0-0": content}


def test_rendered_configs_are_readable_and_may_be_of_any_bytes() -> None:
    rendered, found = configured(b"a: 1\nb: $HOME\n", b"\xff\x00")
    assert "  0-0: |\n    a: 1\n    b: $HOME\n" in rendered
    assert found["binaryData"] == {"1-1": "/wA="}
    for version in VERSIONS:
        kubernetes_validate.validate(found, version, strict=True)
    assert "data" not in configured(b"\xff")[1]


def test_rendering_says_what_kubectl_cannot_take() -> None:
    rendered, found = configured(b"x" * (LIMIT_BYTES - 1))
    assert "--server-side" in rendered
    assert len(found["data"]["0-0"]) == LIMIT_BYTES - 1
    rendered, found = configured(b"x" * (LIMIT_BYTES + 1))
    assert "is left out" in rendered
    assert found == {}


def test_workers_have_ranks_and_know_their_master() -> None:
    train = made(full(), ALL)["train"]
    assert train.main.body["spec"]["completionMode"] == "Indexed"
    assert train.main.body["spec"]["template"]["spec"]["subdomain"] == "train"
    environment = {one["name"]: one for one in train.main.body["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["MASTER_ADDR"]["value"] == "$(BUNDLE_RUN)-0.train"
    assert train.main.body["spec"]["backoffLimit"] == 2
    (note,) = [note for note in plan(full(), nothing(ALL)).notes if note.feature == "retries"]
    assert note.resource == "job/train"
    each = made(full(), ALL | {facts.PER_INDEX})["train"].main
    assert (each.body["spec"]["backoffLimitPerIndex"], each.body["spec"]["maxFailedIndexes"]) == (2, 0)
    assert "backoffLimit" not in each.body["spec"]
    assert each.spec == train.main.spec, "a newer cluster runs nothing again"
    assert not [n for n in plan(full(), nothing(ALL | {facts.PER_INDEX})).notes if n.feature == "retries"]
    (headless,) = train.around
    assert headless.body["spec"]["publishNotReadyAddresses"] is True


# logs


@pytest.mark.timeout(20)
def test_an_error_of_any_kind_ends_a_followed_log() -> None:
    def broken() -> Iterator[LogLine]:
        yield LogLine("2026-01-01T00:00:00Z", "web", 0, "first")
        raise ValueError("no line")

    lines = logs.as_they_come([broken(), iter(())])
    assert next(lines).text == "first"
    with pytest.raises(ValueError, match="no line"):
        next(lines)


# pods as instances


def owner(spec: str = "s2", replicas: int = 1) -> Json:
    annotations = {"dev.graphbundle.resource": "service/web", "dev.graphbundle.spec": spec}
    labels = names.labels("sample", "web")
    return {
        "metadata": {"uid": "u", "name": "web", "labels": labels, "annotations": annotations},
        "spec": {"replicas": replicas, "template": {"metadata": {"annotations": annotations}}},
    }


def running(spec: str, *, ready: bool = True, name: str = "web-1") -> Json:
    return {
        "metadata": {
            "uid": name,
            "name": name,
            "labels": names.labels("sample", "web"),
            "annotations": {"dev.graphbundle.spec": spec},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "web", "readinessProbe": {}}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "web", "ready": ready, "started": True, "state": {"running": {"startedAt": "now"}}}
            ],
        },
    }


def states(pods_there: list[Json], found: Json | None = None) -> list[State]:
    seen: tuple[Instance, ...] = instances({"Deployment": [found or owner()]}, pods_there, {}, "sample")
    return [one.state for one in seen]


def test_a_healthy_pod_of_an_earlier_template_is_not_ready() -> None:
    assert states([running("s1")]) == [State.STARTING, State.CREATED]
    assert states([running("s1"), running("s2", name="web-2")]) == [State.HEALTHY, State.STARTING]
    assert states([running("s2")]) == [State.HEALTHY]


def test_what_is_scaled_to_nothing_is_stopped() -> None:
    assert states([], owner(replicas=0)) == [State.STOPPED]


def test_an_image_that_may_not_be_pulled_says_what_to_do() -> None:
    message = "pull access denied, repository does not exist or may require authorization: no basic auth credentials"
    waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
    for where in ("containerStatuses", "initContainerStatuses"):
        pod = running("s2", ready=False)
        pod["status"] = {"phase": "Pending", where: [{"name": "web", "state": waiting}]}
        objects_there = {"Deployment": [owner()]}
        (one,) = instances(objects_there, [pod], {}, "sample")
        assert "--pull-secret-from" in one.detail


def test_a_pod_that_ends_does_not_count() -> None:
    ending = running("s2")
    ending["metadata"]["deletionTimestamp"] = "now"
    assert states([ending]) == [State.CREATED]


def test_records_are_packed_to_the_same_bytes_at_any_time() -> None:
    assert planning.packed("x")[4:8] == bytes(4), "the time in gzip's header (RFC 1952, 2.3)"


def test_images_of_another_platform_are_refused() -> None:
    observed = Observed("sample", Host(replace(AMD64, architecture="arm64"), "kubernetes", "1.36", FEATURES))
    assert [note.feature for note in plan(released(), observed).refused] == ["platform"]
