"""Engine and client together in a network namespace with loopback and their own bridges only."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, Bundle

pytestmark = [pytest.mark.engine, pytest.mark.nlp, pytest.mark.peers, pytest.mark.timeout(900)]

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
    work = tmp_path_factory.mktemp("air")
    trace = work / "connects"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    tools = Path(os.environ.get("GRAPHBUNDLE_CACHE") or caches / "graphbundle")  # where scripts/engine put its programs
    env = {
        **bundle.env,
        "PATH": f"{Path(sys.executable).parent}:{bundle.env['PATH']}",
        "ENGINE": str(work / "e"),
        "STORE": store,
        "GRAPHBUNDLE_CACHE": str(tools),
        "FILE": str(nlp),
    }
    done = subprocess.run(
        [str(ROOT / "scripts/netns"), "run", "--trace", str(trace), "bash", "-c", INSIDE],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=800,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count('"results":[{"id":"photosynthesis"') == 2, done.stdout
    assert "is left" not in done.stdout
    assert outside(trace.read_text(errors="replace")) == set()


def outside(trace: str) -> set[str]:
    """Addresses that a `connect` was tried to and that are neither loopback nor private to the engine's bridges."""
    found = set(re.findall(r'inet_addr\("([^"]+)"\)', trace))
    found |= set(re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', trace))
    pools = ipaddress.ip_network("10.0.0.0/8")
    return {
        text
        for text in found
        if not (address := ipaddress.ip_address(text)).is_loopback
        and not address.is_unspecified
        and not (address.version == 4 and address in pools)
    }
