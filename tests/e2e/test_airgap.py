"""Engine and client together in a network namespace with loopback and their own bridges only."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import airgap
from .conftest import Bundle

pytestmark = [pytest.mark.engine, pytest.mark.nlp, pytest.mark.peers, pytest.mark.timeout(1700)]

INSIDE = """
set -euo pipefail
export DOCKER_HOST=$(scripts/engine up --root "$ENGINE" --store "$STORE")
trap 'scripts/engine down --root "$ENGINE"' EXIT
test -z "$(docker image ls -q)"
bundle verify "$FILE"
bundle deploy "$FILE" --target docker --yes
bundle deploy "$FILE" --target compose --app beside --yes
for address in $(bundle open nlp --target docker --print) $(bundle open beside --target compose --print); do
    curl -fsS "$address/api/search?q=how+do+plants+make+food&k=1"
    curl -fsS "$address/" -o /dev/null
done
bundle remove beside --target compose --volumes --yes
bundle remove nlp --target docker --volumes --yes
docker image ls --format '{{.Repository}}:{{.Tag}} is left'
docker volume ls --format '{{.Name}} is left'
"""


@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_one_tar_verifies_and_deploys_where_there_is_no_network(
    bundle: Bundle, nlp: Path, tmp_path_factory: pytest.TempPathFactory, store: str
) -> None:
    for _ in range(2):
        work = tmp_path_factory.mktemp("air")
        trace = work / "connects"
        env = {"ENGINE": str(work / "e"), "STORE": store, "FILE": str(nlp)}
        done = airgap.run(bundle, INSIDE, env, trace=trace, timeout_s=800)
        if not airgap.tracer_ended(done):
            break
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count('"results":[{"id":"photosynthesis"') == 2, done.stdout
    assert "is left" not in done.stdout
    assert airgap.outside(trace.read_text(errors="replace")) == set()
