"""The way to a cluster: address, certificates and tokens, as the `kubernetes` package finds them in the usual places
(KUBECONFIG, ~/.kube/config, a pod's own account). What is wrong there is said in one line, with what may be chosen.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bundler.edges.loading import ONE_THREAD
from bundler.errors import TargetError

CONNECTIONS = 32  # kept open; a look and several steps ask at once


def client(context: str | None, file: Path | None, own: Path | None = None) -> Any:
    """The package's client, without a request. `file` None: the usual places. `own` is where the cluster writes one on
    its machine, if it does. Raises TargetError."""
    with ONE_THREAD:
        from kubernetes import client, config
        from kubernetes.config import ConfigException

    configuration = client.Configuration()
    chosen = context is not None or file is not None
    try:
        with _logged() as complaints:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                None if file is None else str(file), context=context, client_configuration=configuration
            )
        if complaints or not str(configuration.host).startswith(("https://", "http://")):
            raise ConfigException("; ".join(complaints) or f"server {configuration.host} has no https:// before it")
    except Exception as error:  # of the package, of YAML, of base64, of whatever a kubeconfig holds instead
        try:
            if chosen or _contexts(file):
                raise _unusable(error, context, file, own) from error
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            raise _unusable(error, context, file, own) from error
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return client.ApiClient(configuration)


def _unusable(error: Exception, context: str | None, file: Path | None, own: Path | None) -> TargetError:
    """What is wrong with the kubeconfig, and which contexts it has."""
    there, told = _contexts(file), " ".join(str(error).split()).removeprefix("Invalid kube-config file. ")
    mend = "set KUBECONFIG to one that is there, or write ~/.kube/config"
    hint = f"--context NAME chooses one of its contexts: {', '.join(there)}" if there else None
    which = f"context {context!r} of the kubeconfig" if context is not None else "the kubeconfig"
    what = f"{which} cannot be used: {told}"
    if there and context is not None and context not in there:
        what = f"the kubeconfig has no context {context!r}"
    elif there and ("current-context" in told or "object with name in" in told):
        what = "the kubeconfig has no current context"
    elif broken := _broken(error, file):
        what, hint, mend = broken, None, "mend it, or set KUBECONFIG to another file"
    elif "No configuration found" in told:
        what = f"there is no kubeconfig at {_place(file)}"
        if own is not None:
            what = f"no kubeconfig can be read at {own} or {_place(file)}"
    if own is not None:
        mend = f"on a server of the cluster, as a user who may read {own} (root); else set KUBECONFIG to a copy of it"
    return TargetError(f"no cluster to talk to: {what}", hint=hint or mend)


def _broken(error: Exception, file: Path | None) -> str | None:
    """What keeps a file from being a kubeconfig at all; `error` is how reading all of them ended."""
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigMerger

    shape = "no kubeconfig: that is a map with the lists clusters, contexts and users"
    for path in _place(file).split(os.pathsep):
        try:
            KubeConfigMerger(path)  # type: ignore[no-untyped-call]
        except OSError as reason:
            return f"{path} cannot be read: {reason.strerror}"
        except UnicodeDecodeError:
            return f"{path} is no text"
        except ConfigException:
            return f"{path} is empty"
        except Exception as reason:  # of YAML, or of Python where something else was expected
            mark = getattr(reason, "problem_mark", None)
            where = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
            return f"{path}{where} is no YAML: {getattr(reason, 'problem', '')}" if where else f"{path} is {shape}"
    if isinstance(error, AttributeError | KeyError | TypeError):  # Python's, at what the package took for a map
        return f"{_place(file)} is {shape}"
    return f"{_place(file)} has no contexts" if "current-context" in str(error) else None


def _place(file: Path | None) -> str:
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    return str(file or KUBE_CONFIG_DEFAULT_LOCATION)


def _contexts(file: Path | None) -> list[str]:
    """The names in the kubeconfig; none where it cannot be read."""
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        merged = KubeConfigMerger(_place(file))  # type: ignore[no-untyped-call]
        return sorted(str(one["name"]) for one in merged.config.value["contexts"])
    except Exception:  # as above
        return []


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What the package only logs: a program for credentials that failed."""
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"its program for credentials: {record.getMessage()}")

    handler = Kept(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)
