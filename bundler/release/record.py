"""The release record: what the target keeps so that any machine can continue.

One JSON document without secrets: the release itself, and the ledger of jobs that have run. Field names
are those of `bundler.model.release`; msgspec checks every one of them when a record is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from bundler.errors import TargetError
from bundler.model.observed import Record
from bundler.model.release import Release

SCHEMA = 1
_OTHER_VERSION = "it was written by another version of bundle: use the one that deployed the app last, or a newer one"


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """`ledger` maps a job that has run (`run: install` or `upgrade`) to the digest of what ran."""

    schema: int
    release: Release
    ledger: dict[str, str]


def write_record(release: Release, ledger: Mapping[str, str]) -> str:
    """The document for a release that is in place: nothing is due in it, every secret is kept."""
    settled = replace(
        release,
        jobs=tuple(replace(job, due=False, needs=()) for job in release.jobs),
        secrets=tuple(replace(secret, stored=True, before=None, size_bytes=0) for secret in release.secrets),
        services=tuple(replace(service, needs=()) for service in release.services),
        waves=(),
        record="",
        recorded=False,
    )
    document = ReleaseRecord(SCHEMA, settled, dict(ledger))
    return msgspec.json.encode(document, enc_hook=dict, order="sorted").decode()


def read_record(record: Record) -> ReleaseRecord:
    """The record as it was written. Raises TargetError for one this version cannot read."""
    try:
        read = msgspec.json.decode(record.document, type=ReleaseRecord)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise TargetError(
            f"release record {record.revision} on the target cannot be read: {error}",
            hint=_OTHER_VERSION,
        ) from error
    if read.schema != SCHEMA:
        raise TargetError(
            f"release record {record.revision} has schema {read.schema}; this version reads {SCHEMA}",
            hint=_OTHER_VERSION,
        )
    return read
