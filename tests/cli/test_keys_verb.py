"""bundle keys: which key signs, and whose bundles are believed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bundler.cli.main import run


def test_another_machine_refuses_until_it_trusts_the_key(
    bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["keys", "export"]) == 0
    (home / "maker.pub").write_text(capsys.readouterr().out)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "elsewhere"))
    assert run(["verify", str(bundle)]) == 5
    assert run(["verify", str(bundle), "--insecure-allow-unsigned"]) == 0
    assert run(["verify", str(bundle), "--key", str(home / "maker.pub")]) == 0
    assert run(["keys", "trust", str(home / "maker.pub")]) == 0
    assert run(["verify", str(bundle)]) == 0


def test_a_lost_private_key_stops_the_build_before_anything_is_written(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = home / "data/graphbundle/keys"
    (keys / "default.key").unlink()
    other = home / "other.tar"
    for _ in range(2):
        capsys.readouterr()
        assert run(["build", str(home / "graph"), "-o", str(other)]) == 2
        said = capsys.readouterr().err
        assert "default.key is gone" in said
        assert [path.name for path in keys.iterdir()] == ["trusted"]
        assert not other.exists()
    command = said.splitlines()[-1].strip()
    assert command.startswith("mv ")
    subprocess.run(["bash", "-c", command], check=True)
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 0
    assert run(["verify", str(other)]) == 0
    assert run(["verify", str(bundle)]) == 0


def test_a_private_key_that_nobody_trusts_signs_nothing_and_is_listed_as_it_is(
    bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = home / "data/graphbundle/keys"
    old = json.loads(listed(capsys))[0]["fingerprint"]
    (keys / "trusted/default.pub").rename(home / "kept.pub")
    (keys / "default.key").unlink()
    assert run(["keys", "generate"]) == 0
    new = json.loads(listed(capsys))[0]["fingerprint"]
    (home / "kept.pub").replace(keys / "trusted/default.pub")
    other = home / "other.tar"
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 2
    said = capsys.readouterr().err
    assert old[:16] in said
    assert new[:16] in said
    assert not other.exists()
    assert [(one["fingerprint"], one["signs"], one["trusted"]) for one in json.loads(listed(capsys))] == [
        (new, True, False),
        (old, False, True),
    ]
    subprocess.run(["bash", "-c", said.splitlines()[-1]], check=True)
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 0
    (keys / "default.key").write_text("damaged")
    capsys.readouterr()
    assert run(["keys", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["default", "unknown", "signs"],
        ["default", new[:16], "trusted"],
        ["default-old1", old[:16], "trusted"],
    ]
    assert "cannot be read" in lines[0]


def listed(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["keys", "list", "--json"]) == 0
    return capsys.readouterr().out
