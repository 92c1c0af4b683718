"""The Kubernetes adapter keeps the contract on a real cluster."""

from __future__ import annotations

import pytest
from clusters import InCluster

from targets.conformance import Conformance

pytestmark = pytest.mark.cluster


class TestKubernetes(Conformance):
    @pytest.fixture
    def subject(self, program: bytes) -> InCluster:
        return InCluster(program)
