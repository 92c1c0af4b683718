"""The small written forms inside a graph: names, sizes, durations, mounts, paths, references, cron lines.

Each has a pattern that also goes into the JSON Schema (so: only what Python's and ECMAScript's expressions agree
on), a reader for what the pattern lets through, and a hint for what people write instead.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from dataclasses import dataclass

LABEL = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"  # a DNS label, RFC 1035: legal as a host name on every target
SLOT = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
FIELD = r"[a-z][a-z0-9_]{0,62}"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_.-]{0,254}"
VERSION = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"  # an OCI tag, with room for the 12 digits that image names add

_PART = r"/(?!\.{1,2}(?:[/:]|$))[^/:$\x00-\x1f]+"
CONTAINER_PATH = rf"(?:{_PART})+"
DIRECTORY = rf"/|{CONTAINER_PATH}"
MOUNT = rf"{LABEL}:{CONTAINER_PATH}(?::ro)?"
SECRET_MOUNT = rf"{LABEL}(?::{CONTAINER_PATH}(?::ro)?)?"
TARGET = rf"{LABEL}(?:\.{LABEL})?"
ENDPOINT = rf"{LABEL}\.{LABEL}"

# A path below the graph file's folder.
RELATIVE_PATH = r"(?![/~])(?!(?:.*/)?\.\.(?:/|$))(?![A-Za-z]:)[^\\:$\x00-\x1f]+"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_REPOSITORY = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = rf"(?:{_DOMAIN}/)?{_REPOSITORY}(?:/{_REPOSITORY})*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"@sha256:[0-9a-f]{64}"
REFERENCE = rf"{_NAME}(?:{_TAG})?(?:{_DIGEST})?"
# On disk: the "./" tells `oci:./dir` from the image named "oci" with a tag.
_ON_DISK = rf"(?:oci|oci-archive|docker-archive):\./{RELATIVE_PATH}(?::[A-Za-z0-9][A-Za-z0-9._:/-]{{0,254}})?"
IMAGE = rf"(?:{_ON_DISK}|{REFERENCE})"
BASE = rf"(?:rootfs:\./{RELATIVE_PATH}|{_ON_DISK}|{REFERENCE})"
ON_DISK = re.compile(r"(?:oci|oci-archive|docker-archive|rootfs):\./.*")
PYTHON_VERSION = r"3\.(?:9|[1-9][0-9])"
PYTHON_IMAGE = re.compile(rf"(?:.*/)?python:({PYTHON_VERSION})(?![0-9]).*")  # and its Python
MODEL = rf"\.|\./{RELATIVE_PATH}|{_NAME}(?:{_TAG}(?:{_DIGEST})?|{_DIGEST})"

SIZE = r"[1-9][0-9]{0,8}(?:KiB|MiB|GiB)"
DURATION = r"(?=[0-9])(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?(?:[0-9]{1,6}ms)?"
SOME_DURATION = rf"(?=.*[1-9]){DURATION}"  # longer than nothing
USER = r"[0-9]{1,10}(?::[0-9]{1,10})?|[a-z_][a-z0-9_.-]{0,31}"
URL_PATH = r"/[!-~]*"
SIGNAL = (
    r"SIG(?:HUP|INT|QUIT|ABRT|KILL|USR1|USR2|TERM|WINCH|CONT|STOP|PWR|RTMIN(?:\+[0-9]{1,2})?|RTMAX(?:-[0-9]{1,2})?)"
)
CRON = r"[0-9*][0-9A-Za-z*,/-]*(?: +[0-9A-Za-z*,/-]+){4}"
RUN = rf"manual|install|upgrade|{CRON}"
WORKERS = r"[1-9][0-9]{0,4}|\$\{values\.[A-Za-z0-9_-]+\}"
USE = rf"(?:{LABEL}/)?{LABEL}(?:@{VERSION})?"

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MEANT_UNITS = {"k": "KiB", "m": "MiB", "g": "GiB"}


@dataclass(frozen=True, slots=True)
class MountText:
    """`name:/path[:ro]` taken apart; `path` is None where a secret leaves it out."""

    name: str
    path: str | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class TargetText:
    """`node.endpoint`, or `external` (endpoint None)."""

    node: str
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class UseText:
    """`LIBRARY/NAME@VERSION` taken apart; without a library the tool's own, without a version the newest."""

    library: str | None
    name: str
    version: str | None


def size_bytes(text: str) -> int:
    return int(text[:-3]) * _UNITS[text[-3:]]


def duration_s(text: str) -> float:
    parts = {unit: int(number) for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", text)}
    whole_s = parts.get("h", 0) * 3600 + parts.get("m", 0) * 60 + parts.get("s", 0)
    return float(whole_s * 1000 + parts.get("ms", 0)) / 1000


def mount(text: str) -> MountText:
    name, _, rest = text.partition(":")
    path = rest.removesuffix(":ro")
    return MountText(name, path or None, rest.endswith(":ro"))


def target(text: str) -> TargetText:
    node, _, endpoint = text.partition(".")
    return TargetText(node, endpoint or None)


def use(text: str) -> UseText:
    head, _, version = text.partition("@")
    library, _, name = head.rpartition("/")
    return UseText(library or None, name, version or None)


def use_hint(found: object) -> str | None:
    text = str(found)
    meant = re.sub(r":(?=[^:/]*$)", "@", text.lower())
    if meant != text and re.fullmatch(USE, meant):
        return f"write {meant}"
    if ":" in text or text.count("/") > 1:
        return f"a component of a library; an image is written as image: {text}"
    return None


def relative_path(text: str) -> str:
    return posixpath.normpath(text)


def model_source(text: str) -> str:
    """A path keeps its `./`, so that it can be told from a registry reference."""
    if not text.startswith("."):
        return text
    path = posixpath.normpath(text)
    return path if path == "." else f"./{path}"


def written_size(size: int) -> str:
    """The shortest form of a size; the inverse of `size_bytes`."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB") if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]}{unit}"


def written_duration(duration_s: float) -> str:
    """In seconds, with what is left in milliseconds; the inverse of `duration_s`."""
    ms = round(duration_s * 1000)
    hours, rest = divmod(ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, ms = divmod(rest, 1000)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (ms, "ms"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def size_hint(found: object) -> str | None:
    if isinstance(found, int) and not isinstance(found, bool):
        return f'say the unit, such as "{found}MiB"'
    meant = re.fullmatch(r"([0-9]+)(\.[0-9]+)? ?([kKmMgGtT])i?[bB]?", str(found))
    if not meant:
        return None
    number, fraction, unit = meant[1].lstrip("0") or "0", meant[2], meant[3].lower()
    if not float(number + (fraction or "")):
        return "leave it out where nothing is to be limited"
    if unit == "t" or fraction:
        smaller = {"t": "GiB", "g": "MiB", "m": "KiB"}.get(unit)
        return f"write {round(float(number + (fraction or '')) * 1024)}{smaller}" if smaller else None
    return f"write {number}{_MEANT_UNITS[unit]}"


def duration_hint(found: object) -> str | None:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return f"say the unit: {found}s"
    text = str(found).replace(" ", "")
    if re.fullmatch(r"[0-9]+", text):
        return f"say the unit: {text}s"
    if re.fullmatch(r"[0-9]+\.[0-9]+s", text):
        return f"write {round(float(text[:-1]) * 1000)}ms"
    if days := re.fullmatch(r"([0-9]+)d", text):
        return f"write {int(days[1]) * 24}h"
    return None


def as_name(text: str, longest: int = 63) -> str | None:
    """The name nearest to a text, its letters without their accents; None where there is none."""
    meant = re.sub(r"[^a-z0-9]+", "-", plain(text)).strip("-")[:longest].strip("-")
    return meant if re.fullmatch(LABEL, meant) else None


def plain(text: str) -> str:
    """In lower case and without accents."""
    return "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))


def name_hint(found: object) -> str | None:
    text = "" if found is None else str(found)
    meant = as_name(text)
    return f"write {meant}" if meant is not None and meant != text else None


def mount_hint(found: object) -> str | None:
    text = str(found)
    head, _, rest = text.partition(":")
    if text.startswith((".", "~")) or (text.startswith("/") and rest):
        return (
            "a graph names no path of a host: a file or folder goes into configs, weights into models, "
            "data into a volume (volumes: {data: {}}), each mounted as name:/path"
        )
    if text.startswith("/"):
        return "every volume has a name: declare it under volumes and write name:" + text
    if rest.endswith((":rw", ":z", ":Z")):
        return f"write {text.rpartition(':')[0]}"
    bare, _, mode = text.rpartition(":")
    if re.fullmatch("[A-Za-z,]+", mode) and re.fullmatch(MOUNT, bare):
        bare = bare.removesuffix(":ro")
        return f"write {bare}, or {bare}:ro to have it read-only; there is no :{mode}"
    if not rest:
        return f"say where: {head}:/path" if re.fullmatch(LABEL, head) else None
    if rest.rstrip("/") != rest and re.fullmatch(MOUNT, text.rstrip("/")):
        return f"write {text.rstrip('/')}"
    if not rest.startswith("/"):
        return "the path in the container begins with /"
    if not re.fullmatch(LABEL, head):
        return name_hint(head)
    return "the path holds no empty part, no . or .., no : and no $"


def variable_hint(found: object) -> str | None:
    meant = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(found)).strip("_")
    return (
        f"write {meant}"
        if re.fullmatch(VARIABLE, meant)
        else "letters, digits, _ . and - make one; it begins with a letter or _"
    )


def container_path_hint(found: object) -> str | None:
    text = f"/{str(found).strip('/')}"
    return f"write {text}" if text != found and re.fullmatch(CONTAINER_PATH, text) else None


def url_path_hint(found: object) -> str | None:
    text = re.sub(r"^[a-z]+://[^/]*", "", str(found))
    text = text if text.startswith("/") else f"/{text}"
    return f"write {text}" if text != found and re.fullmatch(URL_PATH, text) else None


def address_hint(found: object) -> str | None:
    text = str(found)
    if text in ("localhost", "127.0.0.1") or text.startswith(("localhost:", "127.0.0.1:")):
        return "write 127.0.0.1"
    if text.lower() in ("*", "all", "any", "0") or text.startswith("0.0.0.0:"):
        return "write 0.0.0.0 for every address of the machine"
    if re.fullmatch(r"[0-9.]+:[0-9]+|\[[0-9A-Fa-f:]+\](?::[0-9]+)?", text):
        return "the address alone; its port is port"
    if re.search(r"[g-zG-Z]", text):
        return "an address in digits, not a name: 127.0.0.1 for this machine alone, 0.0.0.0 for everyone"
    return None


def path_hint(found: object) -> str | None:
    """For files and folders beside the graph file."""
    text = str(found)
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        return "the path is relative to the graph file, so that it is the same for everyone who packs"
    if ".." in text.split("/"):
        return "everything packed lies in the graph file's folder or below it"
    if "\\" in text:
        return f"write {text.replace(chr(92), '/')}"
    return None


def model_hint(found: object) -> str | None:
    text = str(found)
    if hint := path_hint(found):
        return hint
    if re.fullmatch(RELATIVE_PATH, text):
        return f"write ./{text} for a path beside the graph file, or name a registry reference's tag: {text}:1.0"
    return None


def image_hint(found: object) -> str | None:
    text = str(found)
    if "${" in text:
        return "an image is fixed when the bundle is packed; it takes no placeholder"
    if text.startswith(("http://", "https://")):
        return f"write {text.split('//', 1)[1]}"
    if text.startswith("./"):
        return f"say what it is: oci:{text}, oci-archive:{text} or docker-archive:{text}; a base may be rootfs:{text}"
    if text.startswith("rootfs:"):
        return "a rootfs is for a Python project to be put on: build: {python: ./app, base: rootfs:./FILE}"
    if text != text.lower() and re.fullmatch(REFERENCE, text.lower()):
        return "repository names are lower case"
    return None


def cron_problem(line: str) -> str | None:
    """What is wrong with a cron line of five fields, or None."""
    for (title, low, high, names), field in zip(_CRON_FIELDS, line.split(), strict=True):
        for item in field.split(","):
            span, slash, step = item.partition("/")
            if slash and (not re.fullmatch(r"[0-9]{1,3}", step) or int(step) == 0):
                return f'the {title} "{field}" has no step after /'
            if span == "*":
                continue
            ends = [_cron_number(end, names) for end in span.split("-")]
            if len(ends) > 2 or any(end is None or not low <= end <= high for end in ends):
                return f'the {title} "{field}" is outside {low}-{high}'
            if len(ends) == 2 and (ends[0] or 0) > (ends[1] or 0):
                return f'the {title} "{field}" ends before it begins'
    return None


def run_hint(found: object) -> str | None:
    text = str(found).strip()
    lines = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0"}
    lines |= {"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
    if text in lines:
        return f'write "{lines[text]}"'
    if text.lower() in ("once", "oneshot", "one-shot", "init"):
        return "write install, for once in the life of an app's data"
    if len(text.split()) in (4, 6, 7):
        return "a cron line has five fields: minute, hour, day of month, month, day of week"
    return None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


def _cron_number(text: str, names: dict[str, int]) -> int | None:
    if re.fullmatch(r"[0-9]{1,2}", text):
        return int(text)
    return names.get(text.lower())
