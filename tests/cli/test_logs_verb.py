"""bundle logs: how following ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one

GRAPH = "bundle: shop\nversion: '1'\nservices: {web: {image: 'oci:./layout', expose: {http: 80}}}\n"


@pytest.mark.parametrize(("ending", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
def test_following_ends_with_a_signal_and_claims_nothing(
    tmp_path: Path, kept_target: Path, ending: signal.Signals, word: str
) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    bundle = str(tmp_path / "shop.tar")
    assert away_from_one("build", str(tmp_path / "graph"), "-o", bundle).returncode == 0
    assert away_from_one("deploy", bundle, "-t", "kept", "--yes").returncode == 0
    line = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from bundler.cli.main import main"
    argv = [sys.executable, "-c", f"{line}; main()", "logs", "shop", "-t", "kept", "--follow"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline(), "it has begun"
        following.send_signal(ending)
        _, said = following.communicate(timeout=30)
    assert (following.returncode, said.strip()) == (128 + ending, f"error: {word}")
