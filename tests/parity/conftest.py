"""The bundles of the rows, each built once for all targets."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ..e2e.conftest import ROOT
from . import image
from .command import Command
from .row import Row

PROGRAM = ROOT / "fixtures" / "small" / "app" / "app"
WORDS = ROOT / "fixtures" / "small" / "words"
TREE = {"top": "at the top\n", "below/deep": "below\n"}


@dataclass
class Workshop:
    """A folder with all that the graphs name: weights, settings."""

    bundle: Command
    folder: Path
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:4])
    _built: dict[str, Path] = field(default_factory=dict)

    def prepare(self) -> None:
        shutil.copytree(WORDS, self.folder / "words")
        for name, text in TREE.items():
            (self.folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "tree" / name).write_text(text)
        (self.folder / "password").write_text(PASSWORD)

    def graph(self, row: Row) -> Path:
        """A folder with the row's graph and all it may name."""
        folder = self.folder / row.key
        if not folder.is_dir():
            folder.mkdir()
            for name, machine in (("app.tar", image.machine()), ("other.tar", image.other_machine())):
                image.write(folder / name, PROGRAM.read_bytes(), machine, row.key)
            for name in ("tree", "words"):
                shutil.copytree(self.folder / name, folder / name)
            (folder / "bundle.yaml").write_text(row.text)
        return folder

    def built(self, row: Row) -> Path:
        if row.key not in self._built:
            file = self.folder / f"{row.key}.bundle.tar"
            platform = row.platform and row.platform.replace("OTHER", image.other_machine())
            self.bundle("build", self.graph(row), "-o", file, *(("--platform", platform) if platform else ()))
            self._built[row.key] = file
        return self._built[row.key]

    def site(self, row: Row) -> tuple[str, ...]:
        if row.site is None:
            return ()
        file = self.folder / f"{row.key}.site.yaml"
        file.write_text(row.site)
        return ("--site", str(file))


PASSWORD = 'p@ss/w:rd $HOME $(WORD) ${WORD} %41 "quoted" ü'


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    if not PROGRAM.is_file():
        pytest.fail("the small fixture's program is not built: run scripts/small-prepare", pytrace=False)
    made = Workshop(Command(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("parity"))
    made.prepare()
    return made
