"""The document as YAML, the form in which Compose reads it and people keep it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

HEADER = """\
# What `bundle deploy --target compose` runs, for people to read. The deploy makes the networks, volumes and images
# named here and gives the secrets their values; `docker compose up` alone would lack both.
"""
WIDTH = 1 << 20  # no line is folded

# YAML 1.1 and 1.2 disagree on what is a number or a truth value: what either might read as one is quoted.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)[A-Za-z/][A-Za-z0-9_./-]*", re.IGNORECASE)


def write(document: Mapping[str, object]) -> str:
    """Deterministic: keys keep the document's order, and every text is one for every reader of YAML."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes texts."""

    Dumper.add_representer(str, _text)
    return yaml.dump(document, None, Dumper, sort_keys=False, default_flow_style=False, width=WIDTH, allow_unicode=True)


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    style = None if _PLAIN.fullmatch(text) else "'" if '"' in text and "\n" not in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
