"""Building again: whatever has changed is noticed, and nothing else is read anew."""

from __future__ import annotations

import os
import pkgutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import pack
from bundler.collect import record as records
from bundler.collect.mirrors import Mirror
from bundler.collect.record import Record
from bundler.errors import SourceError
from bundler.model.oci import Platform
from bundler.model.progress import Silent
from bundler.pack import BuildRequest
from bundler.trust.keys import KeyStore, PrivateKey
from tests.packing import LONG_AGO, Registry, Watching, checked, edited_in_place, image_layout, replace_in, write


def test_nothing_changed_nothing_is_read(request_: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack.build(request_, Silent())
    before = request_.output.stat()  # type: ignore[union-attr]
    monkeypatch.setattr("bundler.pack._Building", None)
    again = pack.build(request_, Silent())
    assert again == replace(first, unchanged=True)
    assert request_.output.stat() == before  # type: ignore[union-attr]


def test_another_state_of_the_tools_own_components_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bundler"
    write(program, {"collect/record.py": "", "library/web@1.yaml": "component: web"})
    monkeypatch.setattr("bundler.collect.record.__file__", str(program / "collect/record.py"))
    records.save(tmp_path / "cache/record.json", Record(asked={"graph": "x"}))
    assert records.load(tmp_path / "cache/record.json").asked
    write(program, {"library/web@1.yaml": "component: web, another"})
    assert not records.load(tmp_path / "cache/record.json").asked


@pytest.mark.parametrize(
    "change",
    [
        lambda g, o: write(g, {"c.yaml": "a: 2\n"}),
        lambda g, o: write(g, {"d/three": "3"}),
        lambda g, o: (g / "d/one").unlink(),
        lambda g, o: os.utime(g / "w/config.json", ns=(LONG_AGO, LONG_AGO + 1)),
        lambda g, o: replace_in(g / "bundle.yaml", "1.0.0", "1.0.1"),
        lambda g, o: (g / "c.yaml").rename(g / "x.yaml").rename(g / "c.yaml"),
        lambda g, o: edited_in_place(g / "w/model.bin"),
        lambda g, o: os.utime(o),
        lambda g, o: edited_in_place(o),
        lambda g, o: o.unlink(),
        lambda g, o: image_layout(g.parent / "image", user="0"),
    ],
    ids=[
        "config",
        "new file",
        "file gone",
        "weights touched",
        "graph",
        "moved and back",
        "weights edited",
        "bundle touched",
        "bundle edited",
        "bundle gone",
        "image",
    ],
)
def test_whatever_changed_is_noticed(
    request_: BuildRequest, graph: Path, key: PrivateKey, change: Callable[..., Any]
) -> None:
    pack.build(request_, Silent())
    change(graph, request_.output)
    result = pack.build(request_, Silent())
    assert not result.unchanged
    checked(result, key)
    assert pack.build(request_, Silent()).unchanged


@pytest.mark.parametrize("what", ["config", "weights", "image"])
def test_a_source_that_changes_while_it_is_packed_is_packed_again(
    request_: BuildRequest, graph: Path, key: PrivateKey, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after it was looked at or read: what the next build compares with must be older than what was read."""
    image_layout(graph / "layout")
    text = (graph / "bundle.yaml").read_text()
    image = text.split("image: ")[1].split()[0]
    write(graph, {"bundle.yaml": text.replace(f"image: {image}", "image: oci:./layout")})
    name = {
        "config": "bundler.collect.configs.pack",
        "weights": "bundler.collect.weights.plan",
        "image": "bundler.collect.ondisk.find",
    }[what]
    real = pkgutil.resolve_name(name)
    change = {
        "config": lambda: write(graph, {"c.yaml": "a: 2\n"}),
        "weights": lambda: write(graph, {"w/late.bin": b"late"}),
        "image": lambda: image_layout(graph / "layout", user="0"),
    }[what]

    def changing(*arguments: Any) -> Any:
        found = real(*arguments)
        change()
        time.sleep(0.03)  # longer than files count as changing
        return found

    time.sleep(0.03)
    with monkeypatch.context() as patch:
        patch.setattr(name, changing)
        pack.build(request_, Silent())
    again = pack.build(request_, Silent())
    assert not again.unchanged
    fresh = pack.build(replace(request_, output=request_.output.with_name("fresh"), cache=None), Silent())  # type: ignore[union-attr]
    assert again.path.read_bytes() == fresh.path.read_bytes()
    checked(again, key)


def test_a_record_that_others_may_have_written_is_not_believed(request_: BuildRequest, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        pack.build(request_, Silent())
        assert pack.build(request_, Silent()).unchanged
        (record,) = (tmp_path / "cache/builds").iterdir()
        record.chmod(0o666)
        assert not pack.build(request_, Silent()).unchanged
        assert pack.build(request_, Silent()).unchanged
        record.parent.chmod(0o777)
        assert not pack.build(request_, Silent()).unchanged
    finally:
        os.umask(old)


def test_another_key_or_platform_is_another_build(request_: BuildRequest, tmp_path: Path) -> None:
    pack.build(request_, Silent())
    other = KeyStore(tmp_path / "other").default()
    result = pack.build(replace(request_, key=other), Silent())
    assert result.signers == (other.public.fingerprint,)
    assert not pack.build(replace(request_, key=None), Silent()).signers
    with pytest.raises(SourceError, match="for linux/amd64 only"):
        pack.build(replace(request_, platforms=(Platform("linux", "arm64"),)), Silent())


def test_with_or_without_a_mirror_is_another_build(request_: BuildRequest, registry: Registry) -> None:
    host = registry.image.split("/")[0]
    pack.build(request_, Silent())
    again = pack.build(replace(request_, mirrors=(Mirror.parse(f"{host}={host}"),)), Silent())
    assert not again.unchanged
    assert again.changed == ("the mirrors",)


def test_a_changed_config_reads_no_weights_and_no_image(
    request_: BuildRequest, graph: Path, key: PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.build(request_, Silent())
    write(graph, {"c.yaml": "a: 2222\n"})
    with monkeypatch.context() as patch:
        patch.setattr("bundler.collect.weights.pack", None)
        patch.setattr("bundler.collect.registry.Repository.layer", None)
        result = pack.build(request_, Silent())
    checked(result, key)
    fresh = pack.build(replace(request_, output=tmp_path / "out/fresh.tar", cache=None), Silent())
    assert result.path.read_bytes() == fresh.path.read_bytes()


def test_a_damaged_previous_bundle_is_not_reused(request_: BuildRequest, graph: Path, key: PrivateKey) -> None:
    result = pack.build(request_, Silent())
    with result.path.open("r+b") as file:
        file.seek(result.size_bytes // 2)
        file.write(b"\xff\x00\xff\x00")
    write(graph, {"c.yaml": "a: 3\n"})
    watching = Watching()
    checked(pack.build(request_, watching), key)
    assert any("not reusing" in line for line in watching.lines)


def test_a_record_that_is_nonsense_costs_time_only(request_: BuildRequest, tmp_path: Path, key: PrivateKey) -> None:
    pack.build(request_, Silent())
    (record,) = (tmp_path / "cache/builds").iterdir()
    for nonsense in ("", "[]", '{"format": 1}', record.read_text()[:-5], '{"format":1,"tool":"x"}' * 2):
        record.write_text(nonsense)
        checked(pack.build(request_, Silent()), key)
