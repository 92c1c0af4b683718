"""Points in time as text: RFC 3339, as engines and people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))")
_START = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ns(text: str) -> int:
    """Nanoseconds since 1970. ValueError for anything but an RFC 3339 time."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    date, time, fraction, sign, hours, minutes = found.groups()
    whole_s = (datetime.fromisoformat(f"{date}T{time}+00:00") - _START) // timedelta(seconds=1)
    offset_s = (int(hours) * 60 + int(minutes)) * 60 if sign else 0
    seconds = whole_s - (offset_s if sign == "+" else -offset_s)
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def rfc3339(time_ns: int) -> str:
    """In UTC, with nine digits after the point: what is earlier sorts first."""
    seconds, ns = divmod(time_ns, 10**9)
    return f"{(_START + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}.{ns:09d}Z"
