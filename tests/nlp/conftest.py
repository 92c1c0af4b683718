"""The embedder's code and the real weights, on the host."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FIXTURE = Path(__file__).parents[2] / "fixtures" / "nlp"
EMBEDDER = FIXTURE / "embedder"
WEIGHTS = FIXTURE / "weights" / "minilm"


@pytest.fixture(scope="session")
def weights() -> Path:
    if not (WEIGHTS / "model.safetensors").is_file():
        pytest.fail("the MiniLM weights are not there: run scripts/nlp-prepare --no-images", pytrace=False)
    return WEIGHTS


@pytest.fixture(scope="session")
def embedder_path(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where the embedder's code and exactly the packages of its image are: installed from the prepared wheels."""
    if sys.version_info[:2] != (3, 11) or sys.platform != "linux":
        pytest.skip("the image's wheels are for CPython 3.11 on Linux: run these tests with such a Python")
    packages = tmp_path_factory.mktemp("packages")
    # fmt: off
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile",
        "--require-hashes", "--find-links", EMBEDDER / "wheels", "--target", packages,
        "-r", EMBEDDER / "requirements.txt",
    ]
    # fmt: on
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        reason = "cannot install the embedder's wheels: run scripts/nlp-prepare --no-images"
        pytest.fail(f"{reason}\n{done.stderr}", pytrace=False)
    return [str(EMBEDDER / "app"), str(packages)]


@pytest.fixture(scope="session")
def encoder(weights: Path, embedder_path: list[str]) -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        for path in reversed(embedder_path):
            patch.syspath_prepend(path)
        from minilm import SentenceEncoder

        yield SentenceEncoder.load(weights)
        sys.modules.pop("minilm")
