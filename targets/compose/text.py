"""The document as YAML, the form in which Compose reads it and people keep it."""

from __future__ import annotations

from collections.abc import Mapping

HEADER = """\
# What `bundle deploy --target compose` runs, for people to read. The deploy makes the networks, volumes and images
# named here and gives the secrets their values; `docker compose up` alone would lack both.
"""
WIDTH = 1 << 20  # no line is folded


def write(document: Mapping[str, object]) -> str:
    """Deterministic: keys keep the document's order."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False, width=WIDTH, allow_unicode=True)
