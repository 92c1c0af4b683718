"""The NLP stack as manifests, held against the schemas of Kubernetes."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from .conftest import Bundle

pytestmark = [pytest.mark.engine, pytest.mark.nlp, pytest.mark.timeout(400)]
KINDS = {"Namespace", "PersistentVolumeClaim", "ConfigMap", "Service", "Deployment", "StatefulSet", "Job"}


@pytest.mark.parametrize("version", ["1.35", "1.36", "1.37"])
def test_the_nlp_stack_fits_the_schemas(bundle: Bundle, nlp: Path, version: str) -> None:
    documents = list(yaml.safe_load_all(bundle("render", nlp, "--target", "k8s").out))
    assert {one["kind"] for one in documents} >= KINDS
    for one in documents:
        kubernetes_validate.validate(one, version, strict=True)
