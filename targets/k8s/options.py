"""What the person who deploys chose on the command line or in the environment, as settings of this target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bundler.errors import UsageError
from targets.k8s import names, pulling
from targets.k8s.cluster import Settings

_OPTIONS = frozenset({"context", "namespace", "containerd", "import", "registry", "pull_secret", "pull_secret_from"})


def settings(options: Mapping[str, str], target: str) -> Settings:
    """Raises UsageError for an option that is not known."""
    if unknown := sorted(set(options) - _OPTIONS):
        raise UsageError(f"target {target} knows no {' and no '.join(unknown)}")
    if "pull_secret" in options and "pull_secret_from" in options:
        raise UsageError(f"--pull-secret and {pulling.OPTION} say two things", hint="leave one of them out")
    if "import" in options and "registry" in options:
        raise UsageError("--import and --registry say two things", hint="leave one of them out")
    _check_names(options)
    return Settings(
        context=options.get("context"),
        namespace=options.get("namespace"),
        imports=bool(options.get("import")),
        sockets=_sockets(options.get("containerd") or os.environ.get("CONTAINERD_ADDRESS") or ""),
        registry=options.get("registry"),
        pull_secret=options.get("pull_secret"),
        pull_config=_text(Path(options["pull_secret_from"])) if "pull_secret_from" in options else None,
    )


def _sockets(text: str) -> tuple[str, ...]:
    """Of one or more, with commas between them."""
    return tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))


def _check_names(options: Mapping[str, str]) -> None:
    """What could only fail half-way."""
    namespace, secret, registry = (options.get(key) for key in ("namespace", "pull_secret", "registry"))
    if namespace is not None and not names.is_label(namespace):
        expected = "lower-case letters, digits and '-' inside, at most 63 characters"
        raise UsageError(f"--namespace {namespace!r} cannot name a namespace", hint=expected)
    if secret and not names.is_name(secret):
        raise UsageError(f"--pull-secret {secret!r} cannot name a Secret", hint="kubectl get secrets lists those there")
    if registry is not None and not names.is_registry(registry):
        hint = "HOST[:PORT]/PATH without a scheme, such as registry.example/site"
        raise UsageError(f"--registry {registry!r} names no place in a registry", hint=hint)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{pulling.OPTION} {path}: cannot be read: {reason}") from error
