"""The docker adapter keeps the contract on a real engine."""

from __future__ import annotations

import pytest
from engines import OnEngine

from targets.conformance import Conformance
from targets.docker.target import DockerTarget

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


class TestDocker(Conformance):
    @pytest.fixture
    def subject(self, program: bytes) -> OnEngine:
        return OnEngine(DockerTarget(), program)
