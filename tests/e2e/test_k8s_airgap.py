"""Cluster and client together in a network namespace with loopback and the cluster's own networks only: one tar, by
import on Kubernetes and on k3s, then by the site's registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from . import airgap
from .conftest import Bundle

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.nlp, pytest.mark.peers, pytest.mark.timeout(1700)]

INSIDE = r"""
set -euo pipefail
say() { printf '%s\t%s\n' "$1" "$2"; }
scripts/cluster up --root "$CLUSTER" >/dev/null
end() {
  scripts/k3s-stand-in down "$K3S"
  [ -z "${registry:-}" ] || kill "$registry"
  scripts/cluster down --root "$CLUSTER"
}
trap end EXIT
eval "$(scripts/cluster env --root "$CLUSTER")"

images() { ctr --address "$CLUSTER/containerd.sock" images list --quiet | sort; }
everything() { # every object of every kind that can be listed, one a line
  local kinds; kinds=$(kubectl api-resources --verbs=list --output name | paste -sd,)
  kubectl get "$kinds" --all-namespaces --output go-template="$SHOWN" | sort -u
}
foreign() { kubectl get --filename "$WORK/foreign.json" --output json; }
search() { # TARGET: through the front door that `bundle open` holds
  local door
  rm -f "$WORK/door"
  bundle open nlp --target "$1" --print > "$WORK/door" &
  for _ in {1..100}; do [ -s "$WORK/door" ] && break; sleep 0.2; done
  door=$(cat "$WORK/door")
  say hit "$(curl -fsS "$door/api/search?q=how+do+plants+make+food&k=1")"
  curl -fsS "$door/" -o /dev/null
  kill $! && wait $! || true
}
life() { # WAY TARGET OPTION...
  local way=$1 target=$2; shift 2
  bundle deploy "$FILE" --target "$target" --yes "$@"
  kubectl get pods --namespace nlp --output json > "$WORK/$way.pods"
  say level "$(kubectl get namespace nlp --output jsonpath="{.metadata.labels['$ENFORCE']}")"
  search "$target"
  say again "$(bundle deploy "$FILE" --target "$target" --yes "$@" | head -n 1)"
  bundle remove nlp --target "$target" --volumes --yes
  cleared
  images > "$WORK/$way.images"
  everything > "$WORK/$way.objects"
  foreign > "$WORK/$way.foreign"
  ls "$CLUSTER/volumes" > "$WORK/$way.volumes"
}

images > "$WORK/before.images"
kubectl apply --filename "$WORK/foreign.json" >/dev/null
everything > "$WORK/before.objects"
foreign > "$WORK/before.foreign"

bundle verify "$FILE"
life import k8s

scripts/k3s-stand-in up "$K3S" --root "$CLUSTER"
k3s() {
  unset CONTAINERD_ADDRESS
  eval "$(scripts/k3s-stand-in env "$K3S")"
  export KUBECONFIG="$K3S/etc/rancher/k3s/k3s.yaml"
  life k3s k3s
}
(k3s)

# the site's registry has a certificate of the site's own authority, of which nodes and client are told
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=site \
  -addext "subjectAltName=IP:${REGISTRY%:*}" -keyout "$WORK/site.key" -out "$WORK/site.crt" 2>/dev/null
docker-registry serve "$WORK/registry.json" >"$WORK/registry.log" 2>&1 & registry=$!
mkdir -p "$CLUSTER/certs.d/$REGISTRY"
cat > "$CLUSTER/certs.d/$REGISTRY/hosts.toml" <<TOML
server = "https://$REGISTRY"
[host."https://$REGISTRY"]
capabilities = ["pull", "resolve"]
ca = ["$WORK/site.crt"]
TOML
SSL_CERT_FILE="$WORK/site.crt" life registry k8s --registry "$REGISTRY/site"

# where nothing measures load: for now, and at all
kill "$(cat "$CLUSTER/run/metrics-server.pid")"
for _ in {1..100}; do kubectl get --raw /apis/metrics.k8s.io/v1beta1 >/dev/null 2>&1 || break; sleep 0.2; done
bundle plan "$FILE" --target k8s --json > "$WORK/silent.plan"
kubectl delete apiservice v1beta1.metrics.k8s.io >/dev/null
for _ in {1..100}; do kubectl get --raw /apis/metrics.k8s.io/v1beta1 2>&1 | grep -q NotFound && break; sleep 0.2; done
bundle plan "$FILE" --target k8s --json > "$WORK/unmeasured.plan"
"""

SHOWN = (
    r"{{range .items}}{{.kind}}/{{.metadata.namespace}}/{{.metadata.name}}"
    r' {{.metadata.uid}} {{.metadata.generation}}{{"\n"}}{{end}}'
)

WAYS = ("import", "k3s", "registry")
REGISTRY = "10.244.0.1:5443"  # on the node's own address

FOREIGN = [  # under names that the app's own objects have, in other namespaces
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nlp-other"}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "api", "namespace": "nlp-other"},
        "data": {"a": "b"},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "nlp.secrets", "namespace": "default"},
        "stringData": {"db-password": "theirs"},
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "vectordb", "namespace": "nlp-other"},
        "spec": {"selector": {"dev.graphbundle.app": "nlp"}, "ports": [{"port": 5432}]},
    },
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "documents", "namespace": "nlp-other"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "nlp-other"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {"containers": [{"name": "api", "image": "localhost/none:1"}]},
            },
        },
    },
]


def test_one_tar_runs_on_kubernetes_and_k3s_with_and_without_a_registry_where_there_is_no_network(
    bundle: Bundle, nlp: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    digest = hashlib.sha256(nlp.read_bytes()).hexdigest()
    for _ in range(2):
        work = tmp_path_factory.mktemp("kube")
        (work / "foreign.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": FOREIGN}))
        (work / "registry.json").write_text(json.dumps(_registry(work)))
        trace = work / "connects"
        env = {
            "WORK": str(work),
            "CLUSTER": str(work / "c"),
            "K3S": str(work / "k"),
            "FILE": str(nlp),
            "SHOWN": SHOWN,
            "ENFORCE": r"pod-security\.kubernetes\.io/enforce",
            "REGISTRY": REGISTRY,
        }
        done = airgap.run(bundle, airgap.CLEARED + INSIDE, env, trace=trace, timeout_s=800)
        if not airgap.tracer_ended(done):
            break
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    told = [line.partition("\t")[::2] for line in done.stdout.splitlines()]
    hits = [json.loads(text)["results"][0] for word, text in told if word == "hit"]
    assert [hit["id"] for hit in hits] == ["photosynthesis"] * 3
    assert len({hit["score"] for hit in hits}) == 1
    assert [text for word, text in told if word == "level"] == ["restricted"] * 3
    assert [text for word, text in told if word == "again"] == ["no changes"] * 3
    assert hashlib.sha256(nlp.read_bytes()).hexdigest() == digest

    empty = (work / "before.images").read_text()
    assert all(name.startswith(("localhost/pause", "localhost/busybox", "sha256:")) for name in empty.split())
    assert (work / "import.images").read_text() == (work / "k3s.images").read_text() == empty
    images = {way: _images(work / f"{way}.pods") for way in WAYS}
    assert images["import"] == images["k3s"]
    assert {one.rpartition("@")[2] for one in images["registry"]} == {
        one.rpartition("@")[2] for one in images["import"]
    }
    assert all(one.startswith(f"{REGISTRY}/site/nlp/") for one in images["registry"])

    assert _scales(work / "silent.plan") == {
        ("adapted", "does not scale until the cluster measures load again (metrics.k8s.io does not answer now)")
    }
    assert _scales(work / "unmeasured.plan") == {
        ("adapted", "fixed at 1; the cluster measures no load (metrics.k8s.io)")
    }

    before = _objects(work / "before.objects")
    planted = _as_given(work / "before.foreign")
    for way in WAYS:
        assert _objects(work / f"{way}.objects") == before, f"after {way}"
        assert _as_given(work / f"{way}.foreign") == planted, f"after {way}"
        assert (work / f"{way}.volumes").read_text() == "", f"after {way}"

    assert airgap.outside(trace.read_text(errors="replace")) == set()
    assert not (work / "c").exists()


def _images(pods: Path) -> set[str]:
    return {one["spec"]["containers"][0]["image"] for one in json.loads(pods.read_text())["items"]}


def _objects(file: Path) -> set[str]:
    """Without what the cluster writes about itself in its own namespaces, as time goes by."""
    of_the_cluster = ("NodeMetrics/", "Lease/kube-node-lease/", "Event/kube-system/", "Event/default/node")
    return {line for line in file.read_text().splitlines() if not line.startswith(of_the_cluster)}


def _as_given(file: Path) -> list[dict[str, object]]:
    """Whose each object is and what it says, without what the cluster says of it."""
    found = json.loads(file.read_text())["items"]
    assert len(found) == len(FOREIGN)
    return [{"uid": one["metadata"]["uid"], "spec": one.get("spec"), "data": one.get("data")} for one in found]


def _scales(plan: Path) -> set[tuple[str, str]]:
    """What is said of scaling: of both services that have it."""
    notes = [one for one in json.loads(plan.read_text())["notes"] if one["feature"] == "scale"]
    assert [one["resource"] for one in notes] == ["service/api", "service/embedder"]
    return {(one["verdict"], one["reason"]) for one in notes}


def _registry(work: Path) -> dict[str, object]:
    tls = {"certificate": str(work / "site.crt"), "key": str(work / "site.key")}
    return {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(work / "registry")}},
        "http": {"addr": REGISTRY, "tls": tls},
    }
