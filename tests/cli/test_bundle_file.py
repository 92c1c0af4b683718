"""bundle verify, inspect and diff: what a file alone tells of itself."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import GRAPH, write_layout


def test_two_hundred_flipped_bits_are_all_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, chance = bytearray(bundle.read_bytes()), random.Random(11)
    for _ in range(200):
        bit = chance.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        bundle.write_bytes(data)
        assert run(["verify", str(bundle)]) == 5
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        data[bit // 8] ^= 1 << bit % 8


def test_a_compressed_bundle_is_told_to_be_one(bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = home / "plain.tar.gz"
    packed.write_bytes(gzip.compress(bundle.read_bytes()))
    for verb in ("verify", "inspect"):
        assert run([verb, str(packed)]) == 5
        said = capsys.readouterr().err
        assert "plain.tar.gz is gzip-compressed; a bundle is a plain tar" in said
        assert f"gunzip -k {packed}" in said
    packed.write_bytes(bytes(range(128, 256)) * 8)
    assert run(["verify", str(packed)]) == 5
    said = capsys.readouterr().err
    assert "plain.tar.gz: neither a bundle nor a library" in said
    assert "\\x" not in said


def test_a_bundle_shows_also_what_only_variants_have(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    write_layout(home / "graph" / "another", ("arm64", "amd64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    for name in ("acme", "bob"):
        service = "more: {image: 'oci:./another'}"
        text = f"variant: {name}\nof: plain\nservices: {{{service}}}\nconfigs: {{own: {{content: {name}}}}}\n"
        (home / "graph" / "variants" / f"{name}.yaml").write_text(text)
    file = str(home / "both.tar")
    platforms = ("--platform", "linux/amd64")
    assert run(["build", str(home / "graph"), "-o", file, *platforms, "--variant", "acme", "--variant", "bob"]) == 0
    capsys.readouterr()
    assert run(["inspect", file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2:] for line in lines if line.startswith("  more ")] == [["acme,", "bob"]]
    assert [line.split()[-2:] for line in lines if line.startswith("  own ")] == [["only", "acme"], ["only", "bob"]]
    assert [line.split() for line in lines if "+config" in line] == [
        [one, "+more", "+config", "own"] for one in ("acme", "bob")
    ]
    assert run(["inspect", file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["only_in"]) for one in told["images"]] == [("web", []), ("more", ["acme", "bob"])]
    assert [one["only_in"] for one in told["configs"]] == [["acme"], ["bob"]]


def test_a_bundle_shows_what_one_variant_has(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    write_layout(home / "graph" / "another", ("arm64", "amd64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    for name in ("acme", "bob"):
        text = f"variant: {name}\nof: plain\nservices: {{web: null, {name}s: {{image: 'oci:./another'}}}}\n"
        (home / "graph" / "variants" / f"{name}.yaml").write_text(text)
    file = str(home / "both.tar")
    assert run(["build", str(home / "graph"), "-o", file, "--variant", "acme", "--variant", "bob"]) == 0
    capsys.readouterr()
    assert run(["inspect", file, "--variant", "acme"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("plain 1.0.0, the variant acme  ")
    assert "  acmes  image acmes" in page
    assert "bob" not in page
    assert "web" not in page
    assert run(["inspect", file, "--variant", "acme", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["variant"], list(told["graph"]["services"]), told["variants"]) == ("acme", ["acmes"], {})
    assert [(one["name"], one["only_in"]) for one in told["images"]] == [("acmes", [])]
    assert run(["inspect", file, "--variant", "acne"]) == 2
    assert "holds no variant 'acne'\n  it holds: acme, bob\n" in capsys.readouterr().err


def test_two_bundles_with_other_variants_are_told_apart(
    home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "acme.yaml").write_text("variant: acme\nof: plain\n")
    other = str(home / "other.tar")
    assert run(["build", str(home / "graph"), "-o", other, "--variant", "acme"]) == 0
    capsys.readouterr()
    assert run(["diff", str(bundle), other]) == 0
    said = capsys.readouterr()
    assert said.out == "plain 1.0.0 → plain 1.0.0: no difference\n"
    assert said.err == f"only {other} has the variant acme\n"
    assert run(["diff", str(bundle), other, "--variant", "acme"]) == 2
    said = "it holds none; where its graph has variants/acme.yaml: bundle build --variant acme packs it"
    assert said in capsys.readouterr().err
