"""Opening a bundle under a policy, for every verb that takes a FILE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli import places
from bundler.cli.graph import FILE_NAME
from bundler.cli.progress import Phases
from bundler.errors import TrustError, UsageError, typed

if TYPE_CHECKING:
    from bundler.layout.archive import ArchiveReader
    from bundler.model.bundle import Bundle, VerifiedBundle
    from bundler.trust.policy import Policy


def policy(key: Path | None, *, allow_unsigned: bool) -> Policy:
    """Trust the given key and no other, or every trusted key of this machine."""
    from bundler.trust.keys import KeyStore, read_public
    from bundler.trust.policy import Policy

    if key is None:
        return Policy(KeyStore(places.keys_dir()).trusted(), allow_unsigned=allow_unsigned)
    try:
        pem = key.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{key} cannot be read: {error.strerror}", hint="--key takes a public key file (PEM)"
        ) from error
    return Policy((read_public(pem, key.name),), allow_unsigned=allow_unsigned)


@contextmanager
def verified(file: Path, trusted: Policy) -> Iterator[tuple[VerifiedBundle, ArchiveReader]]:
    """The bundle with every byte checked, and its blobs from the same open file. Raises TrustError."""
    from bundler.trust.verify import verify

    with opened(file) as reader:
        phases = Phases()
        phases.phase(f"verify {file.name}", reader.size_bytes)
        try:
            checked = verify(reader, trusted, phases.advance)
        finally:
            phases.close()
        yield checked, reader


@contextmanager
def opened(file: Path) -> Iterator[ArchiveReader]:
    """The bundle's file. Raises UsageError where there is none."""
    from bundler.layout.archive import ArchiveReader

    if (file / FILE_NAME).is_file() or (file.name == FILE_NAME and file.is_file()):
        up = f"bundle up {typed(file)}"
        hint = f"to build and deploy it: {up}; to see what that would do: {up} --dry-run"
        hint += f"; to make a bundle of it: bundle build {typed(file)}"
        raise UsageError(f"{file} is a graph, not a bundle", hint=hint)
    if file.is_dir():
        raise UsageError(f"{file} is a directory, not a bundle", hint="a bundle is a file; bundle build makes one")
    if not file.exists():
        raise UsageError(f"there is no file {file}", hint="bundle build makes one")
    if _starts_as_gzip(file):
        raise TrustError(
            f"{file} is gzip-compressed; a bundle is a plain tar",
            hint=f"gunzip it: gunzip -k {typed(file)}"
            if file.suffix in (".gz", ".tgz")
            else f"gunzip it: gunzip < {typed(file)} > …",
        )
    with ArchiveReader(file) as reader:
        yield reader


def read_whole(file: Path) -> Bundle:
    """What the bundle holds, with its variants, by its metadata alone."""
    from bundler.layout.read import read_bundle

    with opened(file) as reader:
        return read_bundle(reader)


def of_variant(file: Path, variant: str) -> Bundle:
    """What the bundle holds, as a variant has it ("": the graph itself), by its metadata alone. Raises UsageError where
    it holds none of that name."""
    return as_variant(read_whole(file), variant, file)


def as_variant(whole: Bundle, variant: str, file: Path) -> Bundle:
    """What `of_variant` gives, of a bundle that was read out of `file`."""
    bundle = next((one for one in (whole, *whole.variants) if one.variant == variant), None)
    if bundle is None:
        known = ", ".join(one.variant for one in whole.variants)
        hint = f"it holds: {known}" if known else none_held(variant)
        raise UsageError(f"{file} holds no variant {variant!r}", hint=hint)
    return bundle


def none_held(variant: str) -> str:
    """The hint where a bundle without variants is asked for one."""
    return f"it holds none; where its graph has variants/{variant}.yaml: bundle build --variant {variant} packs it"


def _starts_as_gzip(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(2) == b"\x1f\x8b"
    except OSError:
        return False  # told by whoever reads it
