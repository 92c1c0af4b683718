"""What docker and compose deployments are like from inside, alike on both, on a real engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engines import OnEngine, get, logs, only

from bundler.model.graph import Gpus, Resources, Tmpfs
from bundler.model.observed import StoredSecret
from bundler.model.release import FileMount, SecretPart
from targets.sample import SECRET, Deployment, job, sample

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


def test_environment_reaches_the_process_to_the_letter(subject: OnEngine, deployment: Deployment) -> None:
    texts = {
        "N": "1234e56",
        "O": "0o17",
        "Y": "yes",
        "A": "$HOME ${B} $$c",
        "B": "two\nlines",
        "C": "",
        "D": "'quoted' \"twice\" \\ #no comment",
        "E": "ü",
    }
    environment = (*((name, (text,)) for name, text in texts.items()), ("F", ("x:", SecretPart("key", encoded=True))))
    deployment.go(only(subject, environment=environment))
    seen = get(subject.port, "/env")
    for name, text in texts.items():
        assert f"{name}={text}\n" in seen
    assert "F=x:pl%24in%20bytes%2Fthat%20nobody%20may%20see\n" in seen


def test_arguments_reach_the_process_to_the_letter(subject: OnEngine, deployment: Deployment) -> None:
    words = ("a $HOME ${B} $$c", "'q' \"r\"", "")
    seed = job("seed", "0", *words)
    deployment.go(replace(only(subject), jobs=(seed,), waves=(("web", "seed"),)))
    lines = [line.text for line in logs(subject, "seed") if line.text != "ends with 0"]
    assert lines[: len(words)] == list(words)


def test_an_entrypoint_drops_the_arguments_of_the_image(subject: OnEngine, deployment: Deployment) -> None:
    seed = replace(job("seed"), entrypoint=(("/server",), ("job",), ("0",)), command=None)
    deployment.go(replace(only(subject), jobs=(seed,), waves=(("web", "seed"),)))
    assert sorted(line.text for line in logs(subject, "seed")) == ["ends with 0", "rank - of -"]


def test_files_belong_to_the_user_and_siblings_stay(subject: OnEngine, deployment: Deployment) -> None:
    files = (
        FileMount("/tmp/settings.yaml", subject.config, secret=False),
        FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),
        FileMount("/server.conf", ("url=", SecretPart("key", encoded=True)), secret=True),
    )
    deployment.go(only(subject, files=files, user="10001:10002", read_only=True))
    assert get(subject.port, "/read/tmp/settings.yaml") == "language: en\n"
    assert get(subject.port, "/stat/tmp/settings.yaml") == "0444 10001 10002\n"
    assert get(subject.port, "/read/run/secrets/key") == SECRET.decode()
    assert get(subject.port, "/stat/run/secrets/key") == "0400 10001 10002\n"
    assert get(subject.port, "/read/server.conf").startswith("url=pl%24in")
    assert get(subject.port, "/stat/server") == "0755 0 0\n"


def test_names_lead_to_each_other(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(sample(subject))
    assert get(subject.port, "/get/store/8000/id") == "10001:10001 store\n"
    assert get(subject.port, "/id") == "10002:10002 web\n"


def test_temporary_files_may_be_written_where_the_root_is_read_only(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(only(subject, user="10001:10001", read_only=True, tmpfs=(Tmpfs("/tmp", 1 << 20),)))
    get(subject.port, "/write/tmp/new")
    assert get(subject.port, "/read/tmp/new") == "written\n"


def test_limits_are_set(subject: OnEngine, deployment: Deployment) -> None:
    resources = Resources(0.5, 64 << 20, 8 << 20, Gpus(1, required=False))
    plan = deployment.go(only(subject, resources=resources, init=True, cap_add=("NET_ADMIN",), stop_signal="SIGINT"))
    (instance,) = deployment.observe().of("service/web")
    container = subject.engine.container(instance.id) or {}
    host = container["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (500_000_000, 64 << 20, 8 << 20)
    assert (host["Init"], [c.removeprefix("CAP_") for c in host["CapAdd"]]) == (True, ["NET_ADMIN"])
    assert container["Config"]["StopSignal"] == "SIGINT"
    assert "gpus" in [note.feature for note in plan.notes]


@pytest.mark.parametrize("value", [b"\xff\x00 no text", b"x" * 200_000], ids=["binary", "large"])
def test_a_secret_that_is_only_a_file_may_be_of_any_bytes_and_size(subject: OnEngine, value: bytes) -> None:
    deployment = Deployment(subject, subject.app, StoredSecret("revision-1", value))
    try:
        files = (FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),)
        deployment.go(only(subject, files=files))
        assert get(subject.port, "/stat/run/secrets/key").startswith("0400 ")
    finally:
        deployment.remove(volumes=True)


def test_workers_know_their_rank(subject: OnEngine, deployment: Deployment) -> None:
    jobs = (job("train", "0", max_workers=3, ranked=True), job("alone", "0", ranked=True), job("plain", "0"))
    deployment.go(replace(only(subject), jobs=jobs, waves=(("web", "train", "alone", "plain"),)))
    for name, ranks in (("train", ["0 of 3", "1 of 3", "2 of 3"]), ("alone", ["0 of 1"]), ("plain", ["- of -"])):
        told = sorted(line.text for line in logs(subject, name) if line.text.startswith("rank"))
        assert told == [f"rank {rank}" for rank in ranks]
