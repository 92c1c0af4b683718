"""The static program mounted into containers, whose images may hold neither a shell nor curl nor cp.

Its commands (`probe`, `wait`, `copy`, `seed`, `own`, `cat`, `version`) are described in `helper.c` next to this file.
The two binaries are built from it by `scripts/helper` and committed; `scripts/helper --check` compares them with a
fresh build.
Nothing here starts the program or knows an engine: the targets mount it and write its command lines.
"""

from importlib import resources
from typing import Final

ARCHITECTURES: Final = ("amd64", "arm64")
"""The architectures there is a binary for, by the names OCI platforms use."""

MOUNT_PATH: Final = "/.bundle/helper"
"""Where the program stands inside a container."""


def binary(architecture: str) -> bytes:
    """The program for `architecture`, as a complete ELF file to be stored with mode 0555.

    Raises `ValueError` naming the known architectures when it is not one of `ARCHITECTURES`.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"no helper program for architecture {architecture!r}; there is one for: {known}")
    return resources.files(__name__).joinpath(f"bundle-helper-{architecture}").read_bytes()
