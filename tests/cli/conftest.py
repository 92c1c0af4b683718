"""What several verbs are tried with."""

from __future__ import annotations

from pathlib import Path

import pytest

# A target of somebody else's, found as every other: the reference one, which keeps its things in a file.
PLUGIN = """\
import atexit, os, pathlib, pickle
from targets.memory import MemoryTarget

FILE = pathlib.Path(os.environ["KEPT_FILE"])

def create(options):
    target = MemoryTarget()
    target.name = "kept"
    if FILE.exists():
        target._apps = pickle.loads(FILE.read_bytes())
    atexit.register(lambda: FILE.write_bytes(pickle.dumps(target._apps)))
    return target
"""


@pytest.fixture
def kept_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The target "kept", for processes of their own; where its things are."""
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    plugin = tmp_path / "plugin"
    info = plugin / "kept-1.dist-info"
    info.mkdir(parents=True)
    (plugin / "kept.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kept\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bundler.targets]\nkept = kept:create\n")
    monkeypatch.setenv("PYTHONPATH", f"{plugin}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("KEPT_FILE", str(tmp_path / "kept.pickle"))
    return tmp_path / "kept.pickle"
