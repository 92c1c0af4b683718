"""Services and jobs as workloads, their pods and what is around them, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine_sample import Fixed
from k8s_sample import ALL, FEATURES, SETTINGS, container, full, made, nothing, plan, pod, released

from bundler.model.graph import Condition, Gpus, Healthcheck, Mount, Resources
from bundler.model.observed import Observed, Thing
from bundler.model.plan import Verdict
from bundler.model.release import FileMount, Need, ReleaseDoor
from targets.k8s import cluster as facts
from targets.k8s import names, seeds
from targets.k8s.cluster import Cluster
from targets.k8s.files import LIMIT_BYTES
from targets.sample import with_service


def test_configs_are_split_where_one_map_does_not_hold_them() -> None:
    half = replace(Fixed().config, size_bytes=LIMIT_BYTES // 2 + 1)
    files = tuple(FileMount(f"/etc/{name}", half, secret=False) for name in "abc")
    assert [one.kind for one in made(released(files=files, environment=()))["web"].files] == ["ConfigMap"] * 3


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


def test_a_job_waits_until_its_node_leads_to_what_it_needs() -> None:
    (wait,) = pod(released(), "seed")["initContainers"]
    assert wait["command"][1:] == ["wait", "tcp", "store", "8000", "60"]
    assert "initContainers" not in pod(released(), "web")


def test_a_job_waits_at_the_port_that_is_sure_to_be_open() -> None:
    ports = (("admin", 9000), ("http", 8000))
    for port, asked in ((8000, "8000"), (9000, "9000"), (None, "9000"), (8001, "9000")):
        release = with_service(released(), "store", ports=ports, healthcheck=Healthcheck(None, True, None, port))
        assert pod(release, "seed")["initContainers"][0]["command"][4] == asked


def test_a_job_does_not_wait_for_what_need_only_be_started() -> None:
    release = released()
    (seed,) = (replace(one, needs=(Need("store", Condition.STARTED),)) for one in release.jobs)
    assert "initContainers" not in pod(replace(release, jobs=(seed,)), "seed")


def test_a_job_that_waits_brings_the_helper() -> None:
    release = with_service(released(), "store", volumes=())
    assert "create helper" in [step.id for step in plan(replace(release, volumes=())).steps]


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
