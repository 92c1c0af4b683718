"""Secrets on their way into a pod, without a cluster."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from k8s_sample import container, made, plan, released

from bundler.model.observed import StoredSecret
from bundler.model.plan import Verdict
from bundler.model.release import FileMount, Release, ReleaseSecret, SecretPart
from targets.k8s.cluster import Settings
from targets.k8s.files import LIMIT_BYTES
from targets.k8s.target import KubernetesTarget
from targets.sample import with_service

KEY = StoredSecret("revision-1", b"a/b")
TEXTS = (
    ("PLAIN", ("$HOME $(PATH) $$",)),
    ("KEY", (SecretPart("key"),)),
    ("URL", ("http://u:", SecretPart("key", encoded=True), "@h/$x")),
)


def kept(release: Release) -> dict[str, bytes]:
    """What the Secret of `web` holds."""
    (secret,) = [one for one in made(release)["web"].files if one.kind == "Secret"]
    wanted = {"object": secret.body, "content": dict(secret.content)}
    body = KubernetesTarget(Settings())._filled(wanted, None, {"key": KEY})
    return {key: base64.b64decode(text) for key, text in body["data"].items()}


def test_the_environment_is_the_graphs_and_nothing_else() -> None:
    release = released(environment=TEXTS, files=())
    found: dict[str, Any] = {one["name"]: one for one in container(release, "web")["env"]}
    assert list(found) == ["PLAIN", "KEY", "URL"]
    assert found["PLAIN"]["value"] == "$$HOME $$(PATH) $$$$"
    held = kept(release)
    assert {name: held[one["valueFrom"]["secretKeyRef"]["key"]] for name, one in found.items() if name != "PLAIN"} == {
        "KEY": b"a/b",
        "URL": b"http://u:a%2Fb@h/$x",
    }
    assert "command" not in [note.feature for note in plan(release).notes]


def test_secrets_in_arguments_come_by_variables_and_the_plan_says_so() -> None:
    release = released(environment=(), files=(), command=(("--key=$", SecretPart("key")),))
    found = container(release, "web")
    assert found["args"] == ["--key=$$$(BUNDLE_SECRET_key)"]
    assert [one["name"] for one in found["env"]] == ["BUNDLE_SECRET_key"]
    assert kept(release) == {"BUNDLE_SECRET_key": b"a/b"}
    (note,) = [one for one in plan(release).notes if one.feature == "command"]
    assert note.verdict is Verdict.ADAPTED


# sizes

HALF = LIMIT_BYTES // 2


def holding(*sizes: int, **web: object) -> Release:
    secrets = tuple(ReleaseSecret(f"s{index}", "r", False, None, size) for index, size in enumerate(sizes))
    return replace(released(environment=(), files=(), **web), secrets=secrets)


def test_secrets_that_no_secret_holds_together_are_refused() -> None:
    assert plan(holding(HALF, HALF)).refused == ()
    (note,) = plan(holding(HALF, HALF, 1)).refused
    assert note.resource == "secrets"
    assert "together they have 1,048,577 bytes" in note.reason


def test_a_service_whose_secrets_no_secret_holds_is_refused() -> None:
    files = tuple(FileMount(f"/run/{index}", (SecretPart("s0"),), secret=True) for index in range(2))
    assert plan(with_service(holding(HALF), "web", files=files)).refused == ()
    variable = (("URL", ("x", SecretPart("s0"))),)
    (note,) = plan(with_service(holding(HALF), "web", files=files, environment=variable)).refused
    assert (note.resource, note.feature) == ("service/web", "size")
    assert f"{3 * HALF + 1:,} bytes" in note.reason
