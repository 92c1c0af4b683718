"""The pure parts of the engine adapters, without an engine."""

from __future__ import annotations

import io
import json
import re
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from images import AMD64, Blobs, image

from bundler.edges import ports
from bundler.edges.engine import connect
from bundler.errors import TargetError
from bundler.model.bundle import for_platform
from bundler.model.graph import Gpus, Healthcheck, Mount, Resources, Volume
from bundler.model.observed import Host, Instance, Observed, OpenDoor, Record, State, StoredSecret, Thing
from bundler.model.oci import Platform
from bundler.model.plan import Plan
from bundler.model.release import Release, ReleaseSecret, SecretPart
from targets import ownership, tar, texts
from targets.compose import document
from targets.compose import text as compose_text
from targets.compose.target import ComposeTarget
from targets.docker import containers
from targets.docker.target import DockerTarget
from targets.engine import logs, observe, workloads
from targets.engine.target import EngineTarget
from targets.parts import changes
from targets.sample import job, sample, service, settled, with_service

GOLDEN = Path(__file__).with_name("golden")
FEATURES = frozenset({workloads.IMAGE_MOUNT, workloads.SUBPATH, workloads.START_INTERVAL})
HOST = Host(AMD64, "docker", "28", FEATURES)


class Fixed:
    """As much of a subject as makes a release."""

    app = "sample"
    port = 8080

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.image = image(self.blobs, "app", [[tar.file("server", b"program")]], {})
        self.config = self.blobs.add("text/plain", b"a: 1\n")


def released() -> Release:
    return sample(Fixed())  # type: ignore[arg-type]  # the rest of a subject is not used


@pytest.fixture(params=[DockerTarget, ComposeTarget], ids=["docker", "compose"])
def target(request: pytest.FixtureRequest) -> EngineTarget:
    made: EngineTarget = request.param()
    return made


def nothing(host: Host = HOST) -> Observed:
    return Observed("sample", host)


def text(plan: Plan) -> str:
    lines = [str(note) for note in plan.notes]
    for step in plan.steps:
        after = f" after {', '.join(step.after)}" if step.after else ""
        waits = "".join(f" when {ready.resource} {ready.state}" for ready in step.waits)
        lines.append(f"{step.id}: {step.cause}{after}{waits}")
    return "\n".join([*lines, ""])


def deployed(target: EngineTarget, release: Release) -> Observed:
    """As an engine would show it once the plan was carried out."""
    things, instances = [], []
    names = {one.workload.resource: target.form.names(release, one)[0] for one in _containers(release)}
    for step in target.plan(release, nothing()).steps:
        payload = dict(step.payload)
        if "volume" in payload or "network" in payload:
            name = str(payload.get("volume") or payload.get("network"))
            things.append(Thing(step.resource, name, "1"))
        if payload["do"] == "load":
            things.append(Thing(f"image/{payload['reference']}", str(payload["reference"]), str(payload["pin"])))
        if payload["do"] == "workload":
            state = State.COMPLETED if payload["job"] else State.HEALTHY
            instances.append(Instance(step.resource, "id", names[step.resource], 0, str(payload["spec"]), state))
    doors = tuple(OpenDoor(door.name, door.bind, door.host_port, door.node) for door in release.doors)
    return Observed("sample", HOST, tuple(instances), tuple(things), doors, (Record(1, release.record),))


# workloads


def test_memory_is_the_limit_with_swap_too() -> None:
    release = with_service(released(), "web", resources=Resources(memory_bytes=1 << 25))
    wanted = workloads.containers(release, HOST, {})
    web = next(container for container in wanted if container.workload.name == "web")
    made = containers.body(release, web, HOST)["HostConfig"]
    assert isinstance(made, dict)
    assert made["Memory"] == made["MemorySwap"] == 1 << 25
    services = document.document(release, wanted, HOST)["services"]
    assert isinstance(services, dict)
    assert services["web"]["mem_limit"] == services["web"]["memswap_limit"] == 1 << 25


# plans


def test_the_plan_of_a_first_deploy_reads_as_it_always_did(target: EngineTarget) -> None:
    assert text(target.plan(released(), nothing())) == (GOLDEN / "first-deploy.txt").read_text()


def test_the_plan_of_a_removal_reads_as_it_always_did(target: EngineTarget) -> None:
    assert text(target.plan(None, deployed(target, released()))) == (GOLDEN / "removal.txt").read_text()


def test_a_removal_says_which_images_stay_and_why(target: EngineTarget) -> None:
    there = deployed(target, released())
    things = tuple(replace(one, shared=one.resource.startswith("image/")) for one in there.things)
    plan = target.plan(None, replace(there, things=things))
    (note,) = (str(one) for one in plan.notes)
    assert note.startswith("adapted: image/tgt-sample/app:1.0.0-")
    assert (
        "it stays, as something else uses it; when nothing does: docker image rm bundle.local/tgt-sample/app:" in note
    )
    assert not [step for step in plan.steps if step.resource.startswith("image/")]


def test_what_is_deployed_needs_nothing(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    assert target.plan(settled(release, observed), observed).steps == ()


def test_an_engines_upgrade_restarts_nothing(target: EngineTarget) -> None:
    release = replace(released())
    observed = deployed(target, release)
    newer = replace(HOST, version="29", features=FEATURES | {workloads.LOG_ROTATION, workloads.NVIDIA})
    assert target.plan(settled(release, observed), replace(observed, host=newer)).steps == ()


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"environment": ()}, "environment changed"),
        ({"command": (("serve",), ("8000",))}, "command changed"),
        ({"user": "1:1"}, "settings changed"),
        ({"resources": Resources(cpus=1.0)}, "resources changed"),
        ({"healthcheck": None}, "health check changed"),
        ({"files": ()}, "file /etc/web/settings.yaml, file /run/secrets/key changed"),
        ({"doors": ()}, "front door changed"),
        ({"volumes": (Mount("data", "/data"),)}, "volumes changed"),
    ],
)
def test_the_cause_of_a_replacement_names_what_changed(changed: dict[str, object], cause: str) -> None:
    before, after = released(), with_service(released(), "web", **changed)
    parts = {
        release.record: dict(next(c for c in _containers(release) if c.workload.name == "web").parts)
        for release in (before, after)
    }
    assert changes(json.dumps(parts[before.record]), parts[after.record]) == cause


def test_a_label_that_cannot_be_read_is_a_change() -> None:
    assert changes("", {"image": "a"}) == "specification changed"
    assert changes("[]", {}) == "specification changed"


def _containers(release: Release) -> tuple[workloads.Container, ...]:
    return workloads.containers(release, HOST, {})


def test_old_records_go_and_ten_stay(target: EngineTarget) -> None:
    release = released()
    observed = replace(deployed(target, release), records=tuple(Record(n, "{}") for n in range(5, 16)))
    steps = target.plan(replace(settled(release, observed), recorded=False), observed).steps
    assert [step.id for step in steps] == ["store record/16", "remove records"]
    assert steps[1].payload["names"] == ["sample_r5", "sample_r6"]


def test_a_stored_secret_is_not_sent_again(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    secrets = (ReleaseSecret("key", "revision-1", stored=True), ReleaseSecret("new", "r", stored=False))
    steps = target.plan(replace(settled(release, observed), secrets=secrets), observed).steps
    assert [(step.id, step.cause, step.payload["names"]) for step in steps] == [
        ("store secrets", "new or changed: new", ["new"])
    ]


# answers


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resources": Resources(gpus=Gpus(2))}, "refused: service/web gpus: needs 2"),
        ({"resources": Resources(gpus=Gpus(2, required=False))}, "adapted: service/web gpus: runs without"),
        ({"max_instances": 4}, "adapted: service/web scale: one instance"),
        ({"max_instances": 4, "min_instances": 2, "doors": ()}, "adapted: service/web scale: fixed at 2"),
        ({"liveness": Healthcheck(None, True, None, None)}, "adapted: service/web liveness"),
    ],
)
def test_what_an_engine_cannot_do_is_said(target: EngineTarget, changed: dict[str, object], said: str) -> None:
    notes = [str(note) for note in target.plan(with_service(released(), "web", **changed), nothing()).notes]
    assert [note for note in notes if note.startswith(said)]


def test_limits_that_an_engine_cannot_keep_are_said_and_not_asked_for(target: EngineTarget) -> None:
    features = FEATURES | {workloads.NO_MEMORY_LIMIT, workloads.NO_CPU_LIMIT}
    release = with_service(released(), "web", resources=Resources(cpus=1.0, memory_bytes=1 << 30))
    plan = target.plan(release, nothing(replace(HOST, features=features)))
    assert [(note.resource, note.feature) for note in plan.notes] == [
        ("service/web", "cpus"),
        ("service/web", "memory"),
    ]
    assert plan.refused == ()
    (web,) = [step for step in plan.steps if step.resource == "service/web"]
    assert not re.search(r'"NanoCpus"|"cpus"', json.dumps(web.payload))


def test_a_schedule_is_refused_and_nothing_is_planned(target: EngineTarget) -> None:
    plan = target.plan(replace(released(), jobs=(job("nightly", "0", run="0 3 * * *"),)), nothing())
    assert plan.steps == ()
    assert "bundle run" in str(plan.refused[0])


def test_an_image_for_another_platform_is_refused(target: EngineTarget) -> None:
    host = replace(HOST, platform=Platform("linux", "riscv64"))
    (note,) = target.plan(released(), nothing(host)).refused
    assert str(note) == "refused: image/app platform: no linux/riscv64 in it, only linux/amd64"


@pytest.mark.parametrize("name", ["secrets", "helper", "r1"])
def test_a_volume_with_a_name_that_the_target_uses_is_refused(target: EngineTarget, name: str) -> None:
    plan = target.plan(replace(released(), volumes=(Volume(name, None),)), nothing())
    assert [note.resource for note in plan.refused] == [f"volume/{name}"]


def test_foreign_things_under_other_names_do_not_matter(target: EngineTarget) -> None:
    things = (Thing("volume/else", "sample_else", "", foreign=True),)
    assert target.plan(released(), replace(nothing(), things=things)).steps


def test_a_taken_port_is_refused_before_anything_is_done(target: EngineTarget) -> None:
    plan = target.plan(released(), nothing(replace(HOST, taken_ports=frozenset({8080}))))
    assert plan.steps == ()
    assert "port 8080 is taken by something else" in str(plan.refused[0])


def test_what_belongs_to_another_app_of_ours_is_named(target: EngineTarget) -> None:
    thing = Thing("volume/data", "sample_data", "", foreign=True, owner="app sample on memory")
    (note,) = target.plan(released(), replace(nothing(), things=(thing,))).refused
    assert "belongs to app sample on memory" in str(note)


def test_a_renamed_container_is_removed_before_its_successor_is_made(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    instances = tuple(replace(one, name="else") if one.resource == "service/web" else one for one in observed.instances)
    steps = target.plan(settled(release, observed), replace(observed, instances=instances)).steps
    assert [step.id for step in steps] == ["remove service/web", "create service/web"]
    assert steps[1].after == ("remove service/web",)


def _several(target: EngineTarget, name: str, release: Release, states: tuple[State, ...]) -> Observed:
    """Nothing but instances of one workload, in these states."""
    (container,) = (one for one in _containers(release) if one.workload.name == name)
    names = target.form.names(release, container)
    resource = container.workload.resource
    instances = tuple(Instance(resource, f"{n}", names[n], n, container.spec, s) for n, s in enumerate(states))
    return replace(nothing(), instances=instances)


def test_an_instance_too_many_goes_before_anything_waits_for_it(target: EngineTarget) -> None:
    two = replace(released(), services=(service("api", min_instances=2),), jobs=(), doors=(), waves=(("api",),))
    observed = _several(target, "api", two, (State.HEALTHY, State.STOPPED))
    steps = target.plan(replace(two, services=(service("api"),)), observed).steps
    (record,) = [step for step in steps if step.resource == "record/1"]
    assert [step.id for step in steps if step.resource == "service/api"] == ["remove service/api"]
    assert "remove service/api" in record.after


@pytest.mark.parametrize(("workers", "ranked"), [(2, True), (1, True), (1, False)])
def test_failed_workers_of_an_earlier_release_go_before_the_job_is_waited_for(
    target: EngineTarget, workers: int, *, ranked: bool
) -> None:
    three = replace(released(), services=(), jobs=(job("train", "0", max_workers=3, ranked=True),), waves=(("train",),))
    observed = _several(target, "train", three, (State.FAILED,) * 3)
    fewer = replace(three, jobs=(job("train", "0", max_workers=workers, ranked=ranked),))
    names = set(target.form.names(fewer, _containers(fewer)[0]))
    steps = {step.id: step for step in target.plan(fewer, observed).steps}
    assert steps["remove job/train"].payload["names"] == [i.name for i in observed.instances if i.name not in names]
    assert "remove job/train" in steps["run job/train"].after


@pytest.mark.parametrize("status", [0, 1])
def test_a_docker_program_without_the_compose_plugin_is_seen(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = 'compose version --short' ] && echo 2.40.3 && exit {status}\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ComposeTarget()._compose_version == (None if status else "2.40.3")


# the compose document


def test_every_dollar_is_doubled_and_secrets_are_variables() -> None:
    written = yaml.safe_load(ComposeTarget().render(released(), Fixed().blobs)["compose.yaml"])
    environment = written["services"]["web"]["environment"]
    assert environment["GREETING"] == "hello $$HOME $$$$x $${literal}"
    assert environment["STORE_URL"] == "http://user:${BUNDLE_SECRET_key_URL?}@store:8000"


NUMBERS = [
    "1234e56",
    "1e3",
    "0o17",
    "017",
    "1_000",
    ".5e3",
    "0X1f",
    "+1",
    "1:30",
    "~",
    "y",
    "No",
    "null",
    "TRUE",
    "2026-11-24",
    "=",
    "<<",
]
SIGNS = [
    "- a",
    "a: b",
    "#a",
    "a #b",
    "*a",
    "&a",
    "!a",
    "|",
    "'",
    '"',
    "'\"",
    "\\n",
    "a\nb",
    "a\t",
    " a",
    "ü",
    "",
    "\x7f",
]


@pytest.mark.parametrize("text", [*NUMBERS, *SIGNS, "x" * 5000, "/a", "a-b_c.d/e"])
def test_no_reader_of_yaml_takes_a_text_for_anything_else(text: str) -> None:
    written = compose_text.write({"key": text, text: "value"})
    scalar = written.splitlines()[0].removeprefix("key: ")
    assert yaml.safe_load(written) == {"key": text, text: "value"}
    assert scalar[0] in "'\"" or re.fullmatch(r"[A-Za-z/][\w./-]*", scalar)


def test_no_two_secrets_share_a_variable() -> None:
    secrets = tuple(ReleaseSecret(name, "r", stored=True) for name in ("a-b", "a.b", "a_b", "a_b_URL", "a.b_URL"))
    variables = texts.secret_variables(replace(released(), secrets=secrets))
    assert len(set(variables.values())) == len(variables) == 2 * 6


def test_the_document_names_the_jobs_under_their_profile() -> None:
    release = replace(released(), jobs=(job("train", "0", max_workers=2, ranked=True),))
    made = document.document(release, _containers(release), HOST)
    services = made["services"]
    assert isinstance(services, dict)
    assert list(services) == ["store", "web", "train-0", "train-1"]
    assert services["train-1"]["profiles"] == ["jobs"]


# small parts


def test_texts_are_revealed_only_with_secrets() -> None:
    kept = {"key": StoredSecret("r", b"a/b c"), "binary": StoredSecret("r", b"\xff")}
    assert texts.reveal(texts.text_json(("u:", SecretPart("key", encoded=True))), kept) == b"u:a%2Fb%20c"
    assert texts.text_json(("a", "b")) == "ab"
    with pytest.raises(TargetError, match="no value yet"):
        texts.reveal(texts.text_json((SecretPart("other"),)), kept)
    with pytest.raises(TargetError, match="is no text"):
        texts.reveal_text(texts.text_json((SecretPart("binary"),)), kept)


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_log_frames_become_lines_however_they_are_cut() -> None:
    raw = frame(1, b"T1 one\n") + frame(2, b"T2 err") + frame(1, b"T3 two\nT3 three\n") + frame(2, b"T4 or\n")
    raw += frame(1, b"T5 no end")
    expected = [b"T1 one", b"T3 two", b"T3 three", b"T2 error", b"T5 no end"]
    for size in (1, 3, 8, 11, len(raw)):
        pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
        assert list(logs.split(pieces)) == expected


def test_a_tar_is_read_by_others_as_it_was_written() -> None:
    long_name = "d/" + 120 * "n"
    members = [tar.directory("d", mode=0o700, uid=1, gid=2), tar.file(long_name, b"x" * 513, mode=0o400, uid=70000)]
    with tarfile.open(fileobj=io.BytesIO(tar.whole(members))) as archive:
        found = [(m.name, m.mode, m.uid, m.gid, m.size, m.mtime) for m in archive]
    assert found == [("d", 0o700, 1, 2, 0, 0), (long_name, 0o400, 70000, 0, 513, 0)]


def test_the_platform_with_the_same_variant_is_chosen() -> None:
    (base,) = Fixed().image.platforms
    v6, v7 = (replace(base, platform=Platform("linux", "arm", variant)) for variant in ("v6", "v7"))
    assert for_platform((v6, v7), Platform("linux", "arm", "v7")) is v7
    assert for_platform((v6,), Platform("linux", "arm", "v7")) is v6
    assert for_platform((v6,), AMD64) is None


def test_ports_that_somebody_listens_on_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ports.taken([port]) == {port}
    assert ports.taken([port]) == frozenset()


def test_a_port_that_a_container_has_for_udp_alone_is_free_for_a_front_door() -> None:
    listed = [{"PublicPort": 443, "PrivatePort": 443, "Type": "udp"}, {"PublicPort": 80, "Type": "tcp"}]
    assert observe._published([{"Ports": listed}, {"Ports": None}]) == {80}


def test_an_engine_over_ssh_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://nobody@127.0.0.1:1")
    with pytest.raises(TargetError, match="no Docker engine answers at ssh://") as caught:
        connect()
    assert "paramiko" in (caught.value.hint or "")


def test_ours_is_what_the_labels_say() -> None:
    labels = ownership.labels("docker", "a", "network", "1")
    assert ownership.ours(labels, "docker", "a")
    assert not ownership.ours(labels, "compose", "a")
    assert not ownership.ours(labels, "docker", "b")
    assert not ownership.ours(None, "docker", "a")


def test_no_two_containers_share_a_name(target: EngineTarget) -> None:
    services = (service("api", min_instances=3), service("api-2"))
    jobs = (job("api-3", "0"), job("train", "0", max_workers=2, ranked=True))
    release = replace(released(), services=services, jobs=jobs)
    names = [name for container in _containers(release) for name in target.form.names(release, container)]
    assert len(names) == len(set(names)) == 3 + 1 + 1 + 2


def test_services_of_several_instances_are_named_by_number() -> None:
    release = replace(released(), services=(service("api", min_instances=2),), jobs=(), doors=(), waves=(("api",),))
    (step,) = [s for s in DockerTarget().plan(release, nothing()).steps if s.resource == "service/api"]
    assert [one["name"] for one in step.payload["instances"]] == ["sample-api", "sample-api.2"]  # type: ignore[attr-defined]


def test_what_a_site_says_for_clusters_is_noted(target: EngineTarget) -> None:
    said = replace(released(), storage=(("data", "nfs"),), placement=(("services.web", (("gpu_class", "nvidia"),)),))
    notes = {f"{note.resource} {note.feature}": note for note in target.plan(said, Observed("sample", HOST)).notes}
    assert {"volume/data storage", "service/web placement gpu_class"} <= notes.keys()
    assert not any(note.verdict == "refused" for note in notes.values())
