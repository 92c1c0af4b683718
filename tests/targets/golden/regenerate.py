"""Writes the goldens of this directory anew: python tests/targets/golden/regenerate.py"""

import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[2])]

from engine_sample import deployed, nothing, released, text  # noqa: E402 - found by the path above

from targets.docker.target import DockerTarget  # noqa: E402

docker = DockerTarget()
(here / "first-deploy.txt").write_text(text(docker.plan(released(), nothing())))
(here / "removal.txt").write_text(text(docker.plan(None, deployed(docker, released()))))
