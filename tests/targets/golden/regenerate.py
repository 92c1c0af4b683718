"""Writes the goldens of this directory anew: python tests/targets/golden/regenerate.py"""

import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[2])]

import test_engine_parts as parts  # noqa: E402 - found by the path above

docker = parts.DockerTarget()
(here / "first-deploy.txt").write_text(parts.text(docker.plan(parts.released(), parts.nothing())))
(here / "removal.txt").write_text(parts.text(docker.plan(None, parts.deployed(docker, parts.released()))))
