"""How the workers of a ranked job find each other: variables by torch's names, and the same with our prefix. Pure."""

from __future__ import annotations

MASTER_PORT = 29500  # torch's own default
RANK = "RANK"
PREFIXES = ("BUNDLE_", "")


def environment(workers: int, master: str) -> dict[str, str]:
    """What every worker reads, beside its own RANK."""
    return {"WORLD_SIZE": str(workers), "MASTER_ADDR": master, "MASTER_PORT": str(MASTER_PORT)}
