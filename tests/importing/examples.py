"""The Compose files of fixtures/compose, imported, and what an import says as text."""

from __future__ import annotations

from pathlib import Path

from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import lines
from bundler.importing.writing import graph_text, site_text

FIXTURES = Path(__file__).parents[2] / "fixtures" / "compose"
GOLDEN = Path(__file__).parent / "golden"
FILES = {
    "voting": "compose.yaml",
    "visits": "compose.yaml",
    "nextcloud": "compose.yaml",
    "presidio": "docker-compose.yml",
    "doccano": "docker/docker-compose.prod.yml",
    "milvus": "docker-compose.yml",
    "langfuse": "docker-compose.yml",
    "everything": "compose.yaml",
}


def example(name: str) -> Imported:
    path = FIXTURES / name / FILES[name]
    return imported([(path.read_text(), path.name)], name, Folder(path.parent))


def texts(found: Imported, origin: str) -> dict[str, str]:
    return {
        "bundle.yaml": graph_text(found.graph, origin, found.remarks),
        "site.yaml": site_text(found.site, origin, found.site_remarks),
        "report.txt": "\n".join(lines(found.report)) + "\n",
    }
