"""The plain parts that the grammar is put together from, and what to say to those who write them another way."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from bundler.graphfile import forms
from bundler.graphfile.shapes import ListOf, Number, Text
from bundler.graphfile.source import quoted
from bundler.graphfile.types import TYPES

CAPABILITIES = (  # capabilities(7), without CAP_
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)


def empty_map(example: str) -> Callable[[object], str | None]:
    return lambda found: f"write {example}" if found is None or found == [] else None


def split(found: object) -> str | None:
    """A command line as the list it means."""
    if not isinstance(found, str):
        return None
    try:
        words = shlex.split(found)
    except ValueError:  # an open quote
        return "write a list: one text per argument"
    return f"write a list: [{', '.join(quoted(word) for word in words)}]"


def command_hint(found: object) -> str | None:
    if found == []:
        return "leave `command` out; to take away the image's arguments, write its program as `entrypoint`"
    return split(found)


def test_hint(found: object) -> str | None:
    if isinstance(found, str):
        return f'write a list: ["sh", "-c", {quoted(found)}]' if set(found) & set("|&;<>$") else split(found)
    return None


def list_of_pairs(found: object) -> str | None:
    return "write a map: NAME: text, one per line" if isinstance(found, list) else None


def expose_hint(found: object) -> str | None:
    if isinstance(found, list):
        port = str(found[0]).rpartition(":")[2] if found else "8080"
        return f"give each port a name: expose: {{http: {port}}}"
    return f"give the port a name: expose: {{http: {found}}}" if isinstance(found, int | str) else None


def port_hint(found: object) -> str | None:
    if isinstance(found, str) and found.isdigit():
        return f"write {found} without quotes"
    if isinstance(found, str) and ":" in found:
        return "only the port in the container; the port outside is the site's"
    return None


def mounts_hint(found: object) -> str | None:
    return "write a list: [name:/path]" if isinstance(found, dict | str) else None


def capability_hint(found: object) -> str | None:
    text = str(found).upper().removeprefix("CAP_")
    if text == "ALL":
        return "name the capabilities that are needed one by one"
    return f"write {text}" if text in CAPABILITIES else None


def quote_hint(found: object) -> str | None:
    return f'quote it: "{str(found).lower()}"' if isinstance(found, bool) else None


def image_alone(found: object) -> str | None:
    if isinstance(found, str):
        return f"write {{image: {found}}}"
    return "write {image: …}" if found is None else None


def no_shell(found: object) -> str:
    return f'write {found}: "" for an empty text; what a site decides is a value: {found}: "${{values.NAME}}"'


LABEL = Text(
    "a name of lower-case letters, digits and dashes that begins with a letter, at most 63 characters long",
    forms.LABEL,
    max_length=63,
    hint=forms.name_hint,
)
SLOT = Text("a slot's name of letters, digits, - and _", forms.SLOT, max_length=63)
FIELD = Text("a field's name of lower-case letters, digits and _", forms.FIELD, max_length=63)
VARIABLE = Text("the name of an environment variable", forms.VARIABLE, max_length=255, hint=forms.variable_hint)
PORT = Number("a port number from 1 to 65535", minimum=1, maximum=65535, hint=port_hint)
SIZE = Text(
    "a size in KiB, MiB or GiB, such as 512MiB", forms.SIZE, max_length=12, read=forms.size_bytes, hint=forms.size_hint
)
DURATION = Text(
    "a duration such as 30s, 2m, 1h30m or 500ms",
    forms.DURATION,
    max_length=32,
    read=forms.duration_s,
    hint=forms.duration_hint,
)
SOME_DURATION = Text(
    "a duration above zero, such as 30s, 2m, 1h30m or 500ms",
    forms.SOME_DURATION,
    max_length=32,
    read=forms.duration_s,
    hint=forms.duration_hint,
)
CONTAINER_PATH = Text(
    "an absolute path without . and .. in it, such as /data", forms.CONTAINER_PATH, hint=forms.container_path_hint
)
ENDPOINT = Text("an endpoint, written node.endpoint", forms.ENDPOINT, read=forms.target)
TARGET = Text("node.endpoint, or the name of an external", forms.TARGET, read=forms.target)
TYPE = Text("a known type", choices=tuple(sorted(TYPES)))
SENTENCE = Text("a text", max_length=1000)
ARGUMENTS = ListOf(
    "a list of texts, one per argument",
    Text("a text", numbers=True, placeholders=True, min_length=0, max_length=65536, hint=quote_hint),
    hint=split,
)
COMMAND = ListOf("a list of texts, one per argument", ARGUMENTS.items, min_items=1, hint=command_hint)


def mounts(pattern: str, form: str) -> ListOf:
    item = Text(form, pattern, read=forms.mount, hint=forms.mount_hint)
    return ListOf(f"a list of {form}", item, hint=mounts_hint)
