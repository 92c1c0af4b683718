"""The compose adapter keeps the contract on a real engine."""

from __future__ import annotations

import pytest
from engines import OnEngine

from targets.compose.target import ComposeTarget
from targets.conformance import Conformance

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


class TestCompose(Conformance):
    @pytest.fixture
    def subject(self, program: bytes) -> OnEngine:
        return OnEngine(ComposeTarget(), program)
