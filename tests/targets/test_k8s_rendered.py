"""What is rendered and applied fits the schemas, and what is rendered says what it lacks."""

from __future__ import annotations

import kubernetes_validate
import pytest
import yaml
from engine_sample import Fixed
from hypothesis import example, given, settings
from hypothesis import strategies as st
from k8s_sample import ALL, SETTINGS, VERSIONS, Json, documents, full, made, released

from bundler.model.release import FileMount
from targets.k8s.files import LIMIT_BYTES
from targets.k8s.target import KubernetesTarget


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
