"""From a tar and a policy to a VerifiedBundle or VerifiedLibrary, or a TrustError.

Reads an `ArchiveReader`. Writes nothing. Next: a `Release` of the VerifiedBundle, deployed out of the same reader.

In this order, each step on bytes that the step before vouches for:

1. headers: the tar has the one form a bundle may have (`layout.archive`, when the file was opened);
2. the index files are what ROOT and its signatures make, and the members are exactly what these name (`layout.read`);
3. every signature is about this ROOT; those of known keys are right; enough of them are trusted;
4. graph and pins agree with each other and with ROOT;
5. every byte of the file.

Left out on purpose: times and certificates (keys are bare and trusted by hand, so no clock is asked), transparency logs
(there is no network), and whether a version is older than what runs (the target knows: `deploy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bundler.errors import BundleError, TrustError
from bundler.layout import names
from bundler.layout.archive import ArchiveReader
from bundler.layout.documents import DocumentError
from bundler.layout.library import files_of
from bundler.layout.read import Opened, bundle_of, open_layout
from bundler.model.bundle import Bundle, Signer, VerifiedBundle, VerifiedLibrary
from bundler.model.oci import BUNDLE, LIBRARY
from bundler.trust.policy import Policy
from bundler.trust.signature import Claim, claims


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle whose form and signatures were checked; of its data only the headers."""

    bundle: Bundle
    signers: tuple[Signer, ...]


def read_signed(reader: ArchiveReader, policy: Policy) -> SignedBundle:
    """Steps 1 to 4: kilobytes are read, whatever the bundle's size. TrustError where the policy is not met."""
    with _failing_closed(reader):
        opened, signers = _signed(reader, policy, BUNDLE)
        return SignedBundle(bundle_of(reader, opened), signers)


def verify(reader: ArchiveReader, policy: Policy, progress: Callable[[int], None] | None = None) -> VerifiedBundle:
    """All steps. `progress` is called with numbers of bytes read; they add up to the file's size."""
    signed = read_signed(reader, policy)
    with _failing_closed(reader):
        reader.check_every_byte(progress)
    trusted = {signer.fingerprint for signer in signed.signers if signer.trusted}
    return VerifiedBundle(signed.bundle, signed.signers, unsigned_allowed=len(trusted) < policy.threshold)


def verify_library(reader: ArchiveReader, policy: Policy) -> VerifiedLibrary:
    """The same steps, of a library; what its components say is nobody's business yet."""
    with _failing_closed(reader):
        opened, signers = _signed(reader, policy, LIBRARY)
        reader.check_every_byte()
        closure = opened.closure
        files = files_of(reader, closure)
        return VerifiedLibrary(closure.name, closure.version, closure.root.digest, files, signers)


def _signed(reader: ArchiveReader, policy: Policy, kind: str) -> tuple[Opened, tuple[Signer, ...]]:
    """Steps 1 to 3."""
    opened = open_layout(reader, kind)
    signers = _signers(_claims(reader, opened), policy, reader)
    _check_enough(signers, policy, reader)
    return opened, signers


@contextmanager
def _failing_closed(reader: ArchiveReader) -> Iterator[None]:
    """Whatever goes wrong in a check is a refusal: also what nobody thought of."""
    try:
        yield
    except BundleError:
        raise
    except DocumentError as error:
        raise reader.refusal(str(error)) from error
    except Exception as error:
        raise TrustError(f"{reader.path}: it cannot be verified: {type(error).__name__}: {error}"[:500]) from error


def _claims(reader: ArchiveReader, opened: Opened) -> list[Claim]:
    root = opened.closure.root
    repository = names.bundle_repository(opened.closure.name)
    return [claim for data in opened.referrers for claim in claims(data, root, repository, reader.read)]


def _signers(claimed: list[Claim], policy: Policy, reader: ArchiveReader) -> tuple[Signer, ...]:
    """Who signed, each key once. A signature that a known key did not make is refused; one of an unknown key cannot be
    checked, and trusts nobody."""
    found: dict[str, Signer] = {}
    for claim in claimed:
        key = policy.key(claim.fingerprint)
        if key is not None and not key.verifies(claim.signature, claim.signed):
            raise reader.refusal(f"{claim.where}: the signature is wrong")
        found[claim.fingerprint] = Signer(claim.fingerprint, key.name if key else None, trusted=key is not None)
    return tuple(found[fingerprint] for fingerprint in sorted(found))


def _check_enough(signers: tuple[Signer, ...], policy: Policy, reader: ArchiveReader) -> None:
    if policy.allow_unsigned:
        return
    trusted = [signer for signer in signers if signer.trusted]
    if policy.trusted and len(trusted) >= policy.threshold:
        return
    if not signers:
        raise TrustError(f"{reader.path}: nobody signed it", hint="ask for a signed one")
    unknown = [signer.fingerprint for signer in signers if not signer.trusted]
    if not trusted:
        raise TrustError(
            f"{reader.path}: signed by unknown key {', '.join(unknown)}",
            hint="get the signer's public key from the signer, compare the fingerprint, and: bundle keys trust FILE",
        )
    raise TrustError(
        f"{reader.path}: {len(trusted)} trusted signatures, {policy.threshold} are needed"
        + (f"; also signed by unknown key {', '.join(unknown)}" if unknown else "")
    )
