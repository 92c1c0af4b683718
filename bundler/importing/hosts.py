"""The names that services are reached by, and the hosts outside of the file that its texts name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bundler.importing import keys
from bundler.importing.naming import Names
from bundler.importing.program import Program
from bundler.importing.project import Data, Project, as_list, as_map
from bundler.importing.report import Report
from bundler.importing.variables import settled

_ANYWHERE = "host.docker.internal"  # the machine, as Docker names it inside containers
_SHARED = ("host", "service:", "container:")


def names_of(plain: Mapping[str, Data], nodes: Mapping[str, str], jobs: set[str], report: Report) -> dict[str, str]:
    """Every name that a service is reached by -> its node. `plain`: the services, settled."""
    hosts = {name: nodes[name] for name in plain if name not in jobs}
    texts = [text for service in plain.values() for text in Program.texts(service)]
    for name, service in plain.items():
        for where, other, named in _others(name, service):
            node = nodes.get(named)
            if node and (named in jobs or hosts.setdefault(other, node) == node):
                told = f"{other}: its name is its node's, {node}"
                if where.endswith(".aliases") and other != node and not any(other in text for text in texts):
                    told += f"; no text names {other}, and a program that has it built in does not find it here"
                report.left_out(where, told)
            elif node:
                report.changed(where, f"{other} is {hosts[other]} here: a name leads to one node")
        if "networks" in service:
            report.left_out("networks", keys.NETWORKS)
        if "links" in service:
            told = "who is named in a text is connected to, the others are waited for"
            report.left_out(f"services.{name}.links", told)
        _host_shaped(name, service, report)
    return hosts


def _others(name: str, service: Data) -> Iterator[tuple[str, str, str]]:
    """Where another name is given, that name, and of which service."""
    for key in ("container_name", "hostname"):
        if service.get(key):
            yield f"services.{name}.{key}", str(service[key]), name
    for network, said in as_map(service.get("networks")).items():
        for key in ("aliases", "ipv4_address", "ipv6_address"):
            for each in as_list(as_map(said).get(key)):
                yield f"services.{name}.networks.{network}.{key}", str(each), name
    for link in as_list(service.get("links")):
        target, _, alias = str(link).partition(":")
        if alias:
            yield f"services.{name}.links", alias, target


def _host_shaped(name: str, service: Data, report: Report) -> None:
    mode = str(service.get("network_mode") or "bridge")
    if mode.startswith(_SHARED):
        report.refused(f"services.{name}.network_mode", f"{mode}: every node has a network of its own")
    elif mode == "none":
        report.changed(f"services.{name}.network_mode", "none: every node has a network, and reaches its edges")
    elif "network_mode" in service:
        report.left_out(f"services.{name}.network_mode", "there are no networks in a graph")
    for key in ("pid", "ipc"):
        value = str(service.get(key) or "")
        told = "containers share no namespaces"
        told += "; shm_size gives a program more shared memory" if key == "ipc" else ""
        if value.startswith(_SHARED):
            report.refused(f"services.{name}.{key}", f"{value}: {told}")
        elif value:
            report.left_out(f"services.{name}.{key}", told)


def outer_hosts(
    project: Project, plain: Mapping[str, Data], names: Names, hosts: dict[str, str], report: Report
) -> dict[str, str]:
    """Hosts outside that texts name -> their first name in the graph, among `hosts` from here on; they are nodes like
    others until the end."""
    texts = [settled(raw, project.given) for name in plain for raw in Program.texts(project.services[name])]
    found: dict[str, str] = {}
    extra = {
        host: (f"services.{name}.extra_hosts", f", at {address} in the file" if address else "")
        for name, service in plain.items()
        for host, address in as_map(service.get("extra_hosts")).items()
    }
    for host in dict.fromkeys([*extra, _ANYWHERE]):
        where, at = extra.get(host, ("services", ""))
        if any(re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])", text) for text in texts):
            found[host] = names.take(host)
            hosts.setdefault(host, found[host])
            report.changed(where, f"{host} lies outside{at}: the site says where, under externals")
        elif host == _ANYWHERE and host in extra:
            report.left_out(where, f"no text of the file names {host}")
        elif host in extra:
            told = f"{host}: no text names it, so it is no external; programs that know it miss it"
            report.refused(where, told)
    return found
