"""The NLP stack with TensorBoard beside it, and one customer's variant of it: one file, two systems."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from bundler.layout.archive import ArchiveReader

from ..e2e.conftest import ROOT, get
from ..parity.command import Command

pytestmark = [
    pytest.mark.engine,
    pytest.mark.nlp,
    pytest.mark.peers,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("small"),
]

QUESTION = "how do plants make food"


@pytest.fixture
def stack(bundle: Command, tmp_path: Path) -> Path:
    """A copy of the stack to which TensorBoard is added; the variant leaves it out."""
    folder = shutil.copytree(ROOT / "fixtures" / "nlp", tmp_path / "nlp")
    bundle("add", "tensorboard", folder, "--connect", "logs=runs", "--publish")
    variant = folder / "variants" / "acme.yaml"
    text = variant.read_text()
    for before, after in (
        ("volumes: {documents: null}", "volumes: {documents: null, runs: null}\npublish: {tensorboard: null}"),
        ("services:\n", "services:\n  tensorboard: null\n"),
    ):
        assert before in text
        text = text.replace(before, after)
    variant.write_text(text)
    return folder


@pytest.fixture
def gone(bundle: Command) -> Iterator[None]:
    yield
    for app, target in (("nlp", "docker"), ("nlp-acme", "compose")):
        with suppress(AssertionError):  # it was not there
            bundle("remove", app, "--target", target, "--volumes", "--yes")


def members(file: Path) -> dict[str, int]:
    with ArchiveReader(file) as reader:
        return {name: member.size_bytes for name, member in reader.members.items()}


def search(bundle: Command, app: str, target: str) -> dict[str, object]:
    door = bundle("open", app, "ui", "--target", target, "--print").out.split()[-1]
    found: dict[str, object] = json.loads(get(f"{door}/api/search?{urlencode({'q': QUESTION, 'k': 3})}"))
    return found


def test_a_customers_variant_comes_with_the_stack_in_one_file(
    bundle: Command, stack: Path, mirror: tuple[str, ...], tmp_path: Path, gone: None
) -> None:
    alone, both = tmp_path / "alone.tar", tmp_path / "both.tar"
    bundle("build", stack, *mirror, "-o", alone)
    bundle("build", stack, *mirror, "--variant", "acme", "-o", both)
    new = {name: size for name, size in members(both).items() if name not in members(alone)}
    assert set(members(alone)) - set(members(both)) <= {name for name, size in members(alone).items() if size < 1 << 20}
    weights = max(members(alone).values())
    assert weights not in new.values()  # 87 MiB of weights, in it once
    assert both.stat().st_size - alone.stat().st_size < sum(new.values()) + (1 << 20)

    bundle("deploy", both, "--target", "docker", "--yes")
    bundle("deploy", both, "--target", "compose", "--app", "nlp-acme", "--variant", "acme", "--yes")
    plain, acme = search(bundle, "nlp", "docker"), search(bundle, "nlp-acme", "compose")
    for found in (plain, acme):
        results = found["results"]
        assert isinstance(results, list)
        assert results[0]["id"] == "photosynthesis"
        assert len(results) == 3
    assert "reranked" not in plain
    assert acme["reranked"] is True

    told = json.loads(bundle("status", "nlp-acme", "--target", "compose", "--json").out)
    services = {one["resource"] for one in told["instances"]}
    assert "service/reranker" in services
    assert "service/tensorboard" not in services

    assert (
        "no changes"
        in bundle("deploy", both, "--target", "compose", "--app", "nlp-acme", "--variant", "acme", "--yes").out
    )
    refused = bundle("deploy", both, "--target", "compose", "--app", "nlp-acme", "--yes", status=2)
    assert "nlp-acme is the variant acme" in refused.err
