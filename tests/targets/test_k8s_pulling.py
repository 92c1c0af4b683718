"""The registry that nodes pull from, and the credentials that they pull with, without a cluster."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from k8s_sample import FEATURES, container, full, host, in_place, nothing, plan, released

from bundler.errors import UsageError
from targets.k8s import cluster as facts
from targets.k8s import objects, pulling
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.target import create
from targets.sample import settled


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
