# The parts of scripts/cluster: programs, settings, starting and stopping. Needs lib-machine.sh and lib-engine.sh, and $root set.

cluster_wait_s=${CLUSTER_TIMEOUT_S:-90}
node_ip=10.244.0.1 pod_subnet=10.244.0.0/16 service_subnet=10.96.0.0/16 dns_ip=10.96.0.10
link=gbkube0                 # holds the node's address: the same with and without a network, before and after DHCP
table=graphbundle-cluster    # our table in nftables, and the name of the CNI network
# in the order they are started
base_components=(etcd containerd apiserver controller-manager scheduler kubelet proxy dns metrics-server local-path)
declare -A ports=([etcd]='2379 2380' [apiserver]=6443 [controller-manager]=10257 [scheduler]=10259 [kubelet]='10248 10250' [proxy]='10249 10256'
  [dns]=9053 [metrics-server]=10265)

cluster_names() { # what follows from $root
  kubeconfig=$root/admin.kubeconfig
  socket=$root/containerd.sock
  cgroup=graphbundle-cluster-$(cksum <<<"$root" | cut -d ' ' -f 1)
  nodes=$(state_value "$root" nodes)
  name_components "${nodes:-1}"
}

name_components() { # NODES
  local n
  nodes=$1 components=("${base_components[@]}")
  for ((n = 2; n <= nodes; n++)); do components+=("node$n-containerd" "node$n-kubelet" "node$n-proxy"); done
}

# Node 1 is the machine itself; each further one is a network namespace with its own containerd, kubelet and kube-proxy.
node_dir() { if [ "$1" = 1 ]; then echo "$root"; else echo "$root/node$1"; fi; }
node_address() { echo "10.244.$(($1 - 1)).1"; }
node_cgroup() { if [ "$1" = 1 ]; then echo "$cgroup"; else echo "$cgroup-node$1"; fi; }
node_namespace() { node_cgroup "$1"; } # its name in /run/netns; node 1 has none

admin() { timeout 60 "$root/bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }
api_ready() { admin get --raw /readyz >/dev/null 2>&1; }

# --- programs ----------------------------------------------------------------------------------------------------------------------

# programs: build or fetch what the cache lacks; sets $bin (what we built) and $unpacked (Debian's).
programs() {
  local module=$here/cluster.d key
  key=$(cd "$module" && sha256sum go.mod go.sum main.go pause/main.go | sha256sum | cut -c 1-16)
  unpacked=$engine_dir bin=$(cache_root)/cluster/$key-$(uname -m)
  install_debian runc=runc iptables=iptables nft=nftables ip=iproute2 openssl=openssl flock=util-linux
  fetch_missing usr/bin/containerd=containerd usr/bin/containerd-shim-runc-v2=containerd usr/bin/ctr=containerd usr/bin/etcd=etcd-server \
    usr/lib/cni/ptp=containernetworking-plugins usr/lib/cni/portmap=containernetworking-plugins
  [ -x "$bin/kube" ] || build_programs "$module"
  if [ ! -x "$bin/busybox" ]; then # for the pods that make and clear volumes
    unpack_debian "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$bin/.busybox" busybox-static
    mv "$(find "$bin/.busybox" -name busybox -type f -print -quit)" "$bin/busybox"
    rm -rf "$bin/.busybox"
  fi
}

build_programs() { # MODULE
  local go work log pid
  mkdir -p "${bin%/*}"
  (
    flock -w 1800 9 || die "another process has been building in ${bin%/*} for half an hour"
    [ ! -x "$bin/kube" ] || exit 0
    go=$(find_go "$1")
    work=$(mktemp -d "${bin%/*}/.build.XXXXXX")
    log=${bin%/*}/build.log
    say "building Kubernetes with $("$go" env GOVERSION): ten minutes on two cores when nothing is cached; log: $log"
    (
      cd "$1"
      export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -trimpath -mod=readonly' GOWORK=off
      "$go" build -v -ldflags='-s -w -X k8s.io/component-base/version.gitVersion='"$(sed -n 's/^\tk8s.io\/kubernetes //p' go.mod)" -o "$work/" . ./pause k8s.io/kubernetes/cmd/kubectl
      "$go" build -v -ldflags='-s -w' -o "$work/" github.com/rancher/local-path-provisioner # apart: it imports logrus under its old name
    ) >"$log" 2>&1 9>&- &
    pid=$!
    while ! process_gone "$pid"; do
      sleep 1
      [ $((SECONDS % 20)) -ne 0 ] || say "$(grep -c / "$log" || true) packages compiled so far, of about 3000 when nothing is cached"
      [ "$SECONDS" -lt 3600 ] || { kill "$pid"; die "the build has taken an hour; log: $log"; }
    done
    wait "$pid" || { tail -n 20 "$log" >&2; rm -rf "$work"; die "the build failed; the end of its log is above ($log)"; }
    mv "$work/cluster" "$work/kube"
    rm -rf "$bin"
    mv "$work" "$bin"
    chmod 755 "$bin"
    say "built in $SECONDS s"
  ) 9>"${bin%/*}/.lock"
}

# find_go MODULE: a go that is new enough for the module, fetched from Debian sid where there is none.
find_go() {
  local wanted found go dir=$(cache_root)/go
  wanted=$(awk '$1 == "go" { print $2 }' "$1/go.mod")
  for go in "$(command -v go || true)" /usr/local/go/bin/go "$dir"/usr/lib/go-*/bin/go; do
    [ -x "$go" ] && found=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
    if [ "$(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -n 1)" = "$wanted" ]; then echo "$go"; return; fi
  done
  need_debian_root "Go $wanted"
  unpack_debian sid "$dir" "golang-${wanted%.*}-go" "golang-${wanted%.*}-src"
  go=$dir/usr/lib/go-${wanted%.*}/bin/go
  "$go" version >/dev/null || die "the Go of Debian sid does not run here; install Go $wanted or newer and put it on PATH"
  echo "$go"
}

# image NAME TAR PROGRAM NAME-INSIDE [COMMAND-LINK...]: a docker archive with one static program and links to it.
image() {
  local name=$1 tar=$2 program=$3 inside=$4 work layer config; shift 4
  work=$(mktemp -d "$root/.image.XXXXXX")
  mkdir -p "$work/tree/bin" "$work/tree/tmp"
  chmod 1777 "$work/tree/tmp"
  install -m 755 "$program" "$work/tree/bin/$inside"
  local link_name
  for link_name in "$@"; do ln -s "$inside" "$work/tree/bin/$link_name"; done
  tar -C "$work/tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
  config='{"architecture":"'$(case $(uname -m) in aarch64) echo arm64;; *) echo amd64;; esac)'","os":"linux","config":{"Entrypoint":["/bin/'$inside'"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]}}'
  printf '%s' "$config" > "$work/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" > "$work/manifest.json"
  tar -C "$work" -cf "$tar" manifest.json config.json layer.tar
  rm -rf "$work"
}

# --- settings ----------------------------------------------------------------------------------------------------------------------

certificate() { # CA NAME SUBJECT [ALTERNATIVE-NAMES]
  [ ! -e "$2.crt" ] || return 0
  openssl ecparam -genkey -name prime256v1 -noout -out "$2.key"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth,serverAuth\n%s\n' "${4:+subjectAltName=$4}" > "$2.ext"
  openssl req -new -key "$2.key" -subj "$3" | openssl x509 -req -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 3650 -extfile "$2.ext" -out "$2.crt.new" 2>/dev/null
  rm "$2.ext"
  mv "$2.crt.new" "$2.crt"
}

certificates() {
  local ca
  mkdir -p "$root/pki"
  cd "$root/pki"
  for ca in ca front-ca; do # the aggregator's clients must not be able to pass for the cluster's
    [ -e "$ca.crt" ] || { openssl ecparam -genkey -name prime256v1 -noout -out "$ca.key"; openssl req -x509 -new -key "$ca.key" -subj "/CN=$ca" -days 3650 -out "$ca.crt"; }
  done
  certificate ca apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$node_ip"
  certificate ca admin /O=system:masters/CN=admin
  certificate ca addons /O=system:masters/CN=addons
  certificate ca controller-manager /CN=system:kube-controller-manager
  certificate ca scheduler /CN=system:kube-scheduler
  certificate ca proxy /CN=system:kube-proxy
  local n
  for ((n = 1; n <= nodes; n++)); do certificate ca "kubelet$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:$(node_address "$n")"; done
  certificate ca metrics-server /CN=metrics-server "DNS:metrics-server.kube-system.svc"
  certificate front-ca front-client /CN=front-client
  [ -e sa.key ] || openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  local user
  for user in admin addons controller-manager scheduler; do kubeconfig_of "$user" "$root/$user.kubeconfig" 127.0.0.1; done
  for ((n = 1; n <= nodes; n++)); do
    mkdir -p "$(node_dir "$n")"
    kubeconfig_of "kubelet$n" "$(node_dir "$n")/kubelet.kubeconfig" "$node_ip"
    kubeconfig_of proxy "$(node_dir "$n")/proxy.kubeconfig" "$node_ip"
  done
}

kubeconfig_of() { # CERTIFICATE FILE SERVER
  (umask 077; cat > "$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: default, cluster: {server: "https://$3:6443", certificate-authority-data: $(base64 -w 0 ca.crt)}}]
users: [{name: default, user: {client-certificate-data: $(base64 -w 0 "$1.crt"), client-key-data: $(base64 -w 0 "$1.key")}}]
contexts: [{name: default, context: {cluster: default, user: default}}]
current-context: default
YAML
)
}

settings() {
  local n
  mkdir -p "$root"/{log,run,etcd,certs.d,volumes}
  ln -sfT "$bin" "$root/programs"
  mkdir -p "$root/bin"
  ln -sfT "$bin/kubectl" "$root/bin/kubectl"
  ln -sfT "$unpacked/usr/bin/ctr" "$root/bin/ctr"
  # No image is ever collected: nothing could fetch it again. The node has no resolver but the cluster's.
  printf 'nameserver %s\n' "$dns_ip" > "$root/resolv.conf"
  for ((n = 1; n <= nodes; n++)); do node_settings "$n"; done
  cat > "$root/Corefile" <<COREFILE
.:9053 {
  bind $node_ip
  errors
  cache 5
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $root/addons.kubeconfig default
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
COREFILE
  printf '{"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["%s"]}]}\n' "$root/volumes" > "$root/local-path.json"
  cat > "$root/local-path-pod.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: helper-pod}
spec:
  priorityClassName: system-node-critical
  automountServiceAccountToken: false
  containers: [{name: helper-pod, image: "localhost/busybox:1", imagePullPolicy: Never}]
YAML
}

node_settings() { # NODE
  local dir address; dir=$(node_dir "$1") address=$(node_address "$1")
  mkdir -p "$dir"/{cni,exec,kubelet,log}
  # Where root may not lower a process's OOM score (CAP_SYS_RESOURCE, bit 24), runc cannot start a sandbox that asks for it.
  local restrict=false
  (( 0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24 & 1 )) || restrict=true
  cat > "$dir/containerd.toml" <<TOML
version = 3
root = "$dir/containerd"
state = "$dir/exec/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "$dir/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$dir/containerd/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "$root/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = $restrict
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["$unpacked/usr/lib/cni"]
conf_dir = "$dir/cni"
TOML
  # ptp: pods on one bridge would answer each other past the address translation of Services unless br_netfilter is there
  cat > "$dir/cni/10-pods.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "$table", "plugins": [
 {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$dir/ipam", "ranges": [[{"subnet": "${address%.*}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"}]}
JSON
  cat > "$dir/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $root/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $root/pki/kubelet$1.crt
tlsPrivateKeyFile: $root/pki/kubelet$1.key
cgroupDriver: cgroupfs
cgroupRoot: /$(node_cgroup "$1")
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$dir/containerd.sock
clusterDNS: ["$dns_ip"]
clusterDomain: cluster.local
resolvConf: $root/resolv.conf
podLogsDir: $dir/log/pods
volumePluginDir: $dir/kubelet/volume-plugins
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
YAML
}

# the objects that make host processes look like the add-ons of a cluster, and the storage class as k3s has it
objects() {
  cat <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {clusterIP: $dns_ip, ports: [{name: dns, port: 53, protocol: UDP, targetPort: 9053}, {name: dns-tcp, port: 53, protocol: TCP, targetPort: 9053}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-host, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 9053, protocol: UDP}, {name: dns-tcp, port: 9053, protocol: TCP}]
endpoints: [{addresses: ["$node_ip"], conditions: {ready: true}}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system, labels: {k8s-app: metrics-server}}
spec: {ports: [{name: https, port: 443, protocol: TCP, targetPort: 10265}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server-host, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{name: https, port: 10265, protocol: TCP}]
endpoints: [{addresses: ["$node_ip"], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, service: {name: metrics-server, namespace: kube-system},
  caBundle: $(base64 -w 0 "$root/pki/ca.crt")}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:aggregated-metrics-reader", labels: {rbac.authorization.k8s.io/aggregate-to-view: "true", rbac.authorization.k8s.io/aggregate-to-edit: "true", rbac.authorization.k8s.io/aggregate-to-admin: "true"}}
rules: [{apiGroups: [metrics.k8s.io], resources: [pods, nodes], verbs: [get, list, watch]}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path, annotations: {storageclass.kubernetes.io/is-default-class: "true", defaultVolumeType: local}}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local-path-config, namespace: kube-system}
data:
  setup: |
    #!/bin/sh
    set -eu
    mkdir -m 0777 -p "\$VOL_DIR"
  teardown: |
    #!/bin/sh
    set -eu
    rm -rf "\$VOL_DIR"
YAML
}

# --- the node's network, cgroups and kernel settings --------------------------------------------------------------------------------

# kubelet and the CNI plugins set these; `down` gives them back
kernel_settings=(net.ipv4.ip_forward vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

state_lines() {
  printf 'nodes=%s\nnetwork=%s\nboot=%s\n' "$nodes" "$(readlink /proc/self/ns/net)" "$(cat /proc/sys/kernel/random/boot_id)"
  local name
  for name in "${kernel_settings[@]}"; do printf 'kernel.%s=%s\n' "$name" "$(cat "/proc/sys/${name//./\/}" 2>/dev/null)"; done
}

forward_rules() { # -I|-D: a Docker engine on the same machine drops forwarded traffic that is not its own
  local side
  for side in -s -d; do
    if [ "$1" = -I ] && iptables -w 10 -C FORWARD "$side" "$pod_subnet" -m comment --comment "$table" -j ACCEPT 2>/dev/null; then continue; fi
    iptables -w 10 "$1" FORWARD "$side" "$pod_subnet" -m comment --comment "$table" -j ACCEPT 2>/dev/null || [ "$1" = -D ]
  done
}

node_network() {
  local other
  if ! ip link show "$link" >/dev/null 2>&1; then
    for other in "${pod_subnet%.*.*}." "${service_subnet%.*.*}."; do
      ! ip -4 route show table all | grep -qF "$other" || die "this machine has routes into $pod_subnet or $service_subnet already: another cluster or engine uses these addresses"
    done
    ip link add "$link" type bridge || die "the kernel refuses the interface $link"
  fi
  ip addr replace "$node_ip/32" dev "$link"
  ip link set "$link" up
  ip route replace "$service_subnet" dev "$link" src "$node_ip" # without a default route the node could not even try a Service's address
  ip route replace unreachable "$pod_subnet"                    # each pod has its own route; what is for a pod that is gone must not leave the machine
  echo 1 > /proc/sys/net/ipv4/ip_forward
  forward_rules -I
  nft -f - <<NFT
table ip $table
delete table ip $table
table ip $table {
  chain outbound {
    type nat hook postrouting priority srcnat
    ip saddr $pod_subnet ip daddr != $pod_subnet masquerade
  }
}
NFT
}

# node_namespaces: the further nodes, each on a veth pair; the machine routes between them.
node_namespaces() {
  local n name
  for ((n = 2; n <= nodes; n++)); do
    name=$(node_namespace "$n")
    if ! ip link show "$link-$n" >/dev/null 2>&1; then
      ip netns delete "$name" 2>/dev/null || true
      ip netns add "$name"
      ip link add "$link-$n" type veth peer name eth0 netns "$name"
    fi
    ip -n "$name" link set lo up
    ip -n "$name" addr replace "$(node_address "$n")/32" dev eth0
    ip -n "$name" link set eth0 up
    ip link set "$link-$n" up
    ip route replace "$(node_address "$n")" dev "$link-$n" src "$node_ip"
    ip route replace "10.244.$((n - 1)).0/24" via "$(node_address "$n")" dev "$link-$n" src "$node_ip"
    ip -n "$name" route replace "$node_ip" dev eth0
    ip -n "$name" route replace default via "$node_ip" dev eth0
    ip -n "$name" route replace unreachable "10.244.$((n - 1)).0/24"
    nsenter --net="/run/netns/$name" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  done
}

node_cgroups() { # NAME: kubelet wants its root in every hierarchy; one of its own, so that two kubelets do not clear each other's pods away
  local cgroup=$1 controller name
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/$cgroup"
    for name in $(cat "/sys/fs/cgroup/$cgroup/cgroup.controllers"); do echo "+$name" > "/sys/fs/cgroup/$cgroup/cgroup.subtree_control" 2>/dev/null || true; done
    return
  fi
  for controller in /sys/fs/cgroup/*/; do
    [ -e "$controller/cgroup.procs" ] || continue
    mkdir -p "$controller$cgroup"
    for name in cpuset.cpus cpuset.mems; do
      if [ -e "$controller$cgroup/$name" ] && [ -z "$(cat "$controller$cgroup/$name")" ]; then cat "$controller$name" > "$controller$cgroup/$name"; fi
    done
  done
}

# --- up ----------------------------------------------------------------------------------------------------------------------------

running() { # NAME: its process id, if that process is still ours
  local pid; pid=$(cat "$root/run/$1.pid" 2>/dev/null) || return 1
  [[ "$(tr "\0" " " 2>/dev/null < "/proc/$pid/cmdline")" == *"$root/"* ]] && ! process_gone "$pid" && echo "$pid"
}

start() { # NAME COMMAND...: unless it runs with this very command line and these settings
  local name=$1 pid word wanted; shift
  wanted=$(printf '%s\n' "$*"; for word in "$@"; do case ${word#*=} in "$root"/*.toml|"$root"/*.yaml|"$root"/*.json|"$root/Corefile") cat "${word#*=}";; esac; done)
  if pid=$(running "$name"); then
    [ "$(cat "$root/run/$name.command")" != "$wanted" ] || return 0
    stop_process "$pid" 20
  fi
  printf '%s\n' "$wanted" > "$root/run/$name.command"
  # a clean environment: these talk to this machine only, a proxy for the outside would be in the way
  env -i PATH="$bin:$unpacked/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$root" setsid "$@" >>"$root/log/$name.log" 2>&1 </dev/null 9>&- &
  echo $! > "$root/run/$name.pid"
  say "started $name"
}

await() { # NAME WHAT COMMAND...: until the command succeeds; gives up when the process ends
  local name=$1 what=$2 deadline=$((SECONDS + cluster_wait_s)); shift 2
  until "$@" >/dev/null 2>&1; do
    running "$name" >/dev/null || { tail -n 15 "$root/log/$name.log" >&2; die "$name ended; the end of its log is above ($root/log/$name.log)"; }
    [ "$SECONDS" -lt "$deadline" ] || { tail -n 15 "$root/log/$name.log" >&2; die "$what within $cluster_wait_s s; the end of $name's log is above ($root/log/$name.log)"; }
    sleep 0.2
  done
}

listening() { ss -Hltn "sport = :$1" | grep -q .; }
ctr_at() { local n=$1; shift; timeout 60 "$unpacked/usr/bin/ctr" -a "$(node_dir "$n")/containerd.sock" -n k8s.io "$@"; }
node_ready() { kubelet_answers "$1" && [ "$(admin get node "node$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]; }
kubelet_answers() { timeout 5 bash -c "exec 3<>/dev/tcp/$(node_address "$1")/10250"; } # the node's condition may be from before a crash
metrics_ready() { listening 10265 && [ "$(admin get apiservice v1beta1.metrics.k8s.io -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}' 2>/dev/null)" = True ]; }

cluster_up() { # NODES or ''
  local name port n
  [ "$(id -u)" = 0 ] || die "a cluster needs root"
  if [ -e "$root/state" ] && [ "$(state_value "$root" network)" != "$(readlink /proc/self/ns/net)" ] && [ "$(state_value "$root" boot)" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then
    die "the cluster in $root belongs to another network namespace; run this there, or take another --root"
  fi
  if [ ! -e "$root/state" ] && [ -d "$root" ] && [ -n "$(ls -A "$root")" ]; then die "$root is not empty and holds no cluster of ours"; fi
  programs
  mkdir -p "$root"
  exec 9>"/run/graphbundle-cluster.lock"
  flock -w 300 9 || die "another 'up' has held /run/graphbundle-cluster.lock for five minutes"
  for name in "${components[@]}"; do
    running "$name" >/dev/null && continue
    for port in ${ports[$name]:-}; do ! listening "$port" || die "port $port, which $name needs, is taken: $(ss -Hltnp "sport = :$port" | sed 's/.*users/used by/' | head -n 1)"; done
  done
  if [ -n "$1" ]; then
    [ "$1" -ge "$nodes" ] || die "the cluster in $root has $nodes nodes; to have fewer, stop it first (scripts/cluster down)"
    name_components "$1"
    [ ! -e "$root/state" ] || sed -i "s/^nodes=.*/nodes=$nodes/" "$root/state"
  fi
  after_reboot
  [ -e "$root/state" ] || state_lines > "$root/state"
  settings
  certificates
  node_network
  node_namespaces
  for ((n = 1; n <= nodes; n++)); do node_cgroups "$(node_cgroup "$n")"; done
  start_all
  exec 9>&-
  say "Kubernetes is ready; containerd: $socket"
  printf '%s\n' "$kubeconfig"
}

# What lay in the state directories belongs to the kernel that is gone.
after_reboot() {
  [ -e "$root/state" ] && [ "$(state_value "$root" boot)" != "$(cat /proc/sys/kernel/random/boot_id)" ] || return 0
  say "the machine was rebooted since: clearing what its processes left"
  rm -rf "$root"{,/node*}/exec "$root"/run/*.pid "$root"{,/node*}/containerd.sock*
  state_lines > "$root/state"
}

start_all() {
  local kube=$bin/kube pki=$root/pki n
  start etcd "$unpacked/usr/bin/etcd" --data-dir "$root/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --log-level warn
  start containerd "$unpacked/usr/bin/containerd" --config "$root/containerd.toml" --log-level warn
  # start kube-apiserver at once: it waits for etcd by itself
  start apiserver "$kube" apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=0.0.0.0 --advertise-address="$node_ip" --cert-dir="$pki" \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --allow-privileged=true \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$pki/front-ca.crt" --requestheader-allowed-names=front-client --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-client.crt" --proxy-client-key-file="$pki/front-client.key" --enable-aggregator-routing=true \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --service-cluster-ip-range="$service_subnet" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
  await containerd "containerd does not answer" ctr_at 1 version
  own_images 1
  await apiserver "the API server is not ready" api_ready
  start controller-manager "$kube" controller-manager --kubeconfig="$root/controller-manager.kubeconfig" --bind-address=127.0.0.1 --flex-volume-plugin-dir="$root/kubelet/volume-plugins" --use-service-account-credentials --leader-elect=false \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
  start scheduler "$kube" scheduler --kubeconfig="$root/scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
  start_node 1
  for ((n = 2; n <= nodes; n++)); do start_node "$n"; done
  objects | admin apply -f - >/dev/null || die "the API server refused the cluster's own objects"
  start dns "$kube" dns -conf "$root/Corefile"
  start metrics-server "$kube" metrics-server --kubeconfig="$root/addons.kubeconfig" --authentication-kubeconfig="$root/addons.kubeconfig" --authorization-kubeconfig="$root/addons.kubeconfig" \
    --bind-address="$node_ip" --secure-port=10265 --tls-cert-file="$pki/metrics-server.crt" --tls-private-key-file="$pki/metrics-server.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP --metric-resolution=10s --kubelet-request-timeout=5s
  start local-path "$bin/local-path-provisioner" start --kubeconfig "$root/addons.kubeconfig" --config "$root/local-path.json" --provisioner-name rancher.io/local-path \
    --namespace kube-system --configmap-name local-path-config --helper-image localhost/busybox:1 --helper-pod-file "$root/local-path-pod.yaml" --service-account-name default
  await kubelet "the node is not ready" node_ready 1
  for ((n = 2; n <= nodes; n++)); do await "node$n-kubelet" "node$n is not ready" node_ready "$n"; done
  await controller-manager "the namespace default has no service account" admin get serviceaccount default
  await dns "CoreDNS does not listen" listening 9053
  await metrics-server "metrics.k8s.io is not available" metrics_ready
}

start_node() { # NODE
  local n=$1 dir inside=() prefix=''
  dir=$(node_dir "$n")
  if [ "$n" != 1 ]; then
    prefix=node$n- inside=(nsenter "--net=/run/netns/$(node_namespace "$n")" --)
    start "node$n-containerd" "${inside[@]}" "$unpacked/usr/bin/containerd" --config "$dir/containerd.toml" --log-level warn
    await "node$n-containerd" "containerd does not answer" ctr_at "$n" version
    own_images "$n"
  fi
  start "${prefix}kubelet" "${inside[@]}" "$bin/kube" kubelet --config="$dir/kubelet.yaml" --kubeconfig="$dir/kubelet.kubeconfig" --root-dir="$dir/kubelet" \
    --hostname-override="node$n" --node-ip="$(node_address "$n")"
  start "${prefix}proxy" "${inside[@]}" "$bin/kube" proxy --kubeconfig="$dir/proxy.kubeconfig" --proxy-mode=nftables --cluster-cidr="$pod_subnet" --nodeport-addresses=0.0.0.0/0 \
    --hostname-override="node$n" --healthz-bind-address=127.0.0.1:10256 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

own_images() { # NODE: pause, and what makes and clears volumes
  local name list
  list=$(ctr_at "$1" images ls -q)
  [[ $list != *localhost/pause:1* || $list != *localhost/busybox:1* ]] || return 0
  image localhost/pause:1 "$root/pause.tar" "$bin/pause" pause
  image localhost/busybox:1 "$root/busybox.tar" "$bin/busybox" busybox sh
  for name in pause busybox; do
    ctr_at "$1" images import --label io.cri-containerd.pinned=pinned "$root/$name.tar" >/dev/null || die "containerd does not take the $name image"
    rm "$root/$name.tar"
  done
}

# --- down --------------------------------------------------------------------------------------------------------------------------

cgroup_processes() { find /sys/fs/cgroup \( -path "*/$cgroup/*" -o -path "*/$cgroup-node*" \) -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
shims() { ps -eo pid=,args= | awk -v root="$root/" 'index($0, "containerd-shim") && index($0, root) { print $1 }'; }

cluster_down() {
  local pid index name sockets dead
  [ -e "$root/state" ] || { say "no cluster in $root; nothing to do"; return; }
  if [ "$(state_value "$root" network)" != "$(readlink /proc/self/ns/net)" ] && api_socket_alive; then
    die "the cluster in $root runs in another network namespace; stop it there (scripts/netns run ends with its command)"
  fi
  # shims keep their sockets outside our directory, and leave them there when they are killed
  sockets=$(cat "$root"{,/node*}/exec/containerd/io.containerd.runtime.v2.task/k8s.io/*/{address,bootstrap.json} 2>/dev/null | grep -o '/run/containerd/s/[0-9a-f]*' | sort -u || true)
  for ((index = ${#components[@]} - 1; index >= 0; index--)); do
    name=${components[index]}
    [ "$name" != scheduler ] || kill_pods # the kubelets have stopped by now
    if pid=$(running "$name"); then stop_process "$pid" 20; fi
  done
  [ -z "$sockets" ] || xargs rm -f <<<"$sockets"
  dead=$(timeout 10 "$root/bin/ctr" -a /var/lib/kubelet/device-plugins/kubelet.sock --connect-timeout 2s version 2>&1) || true
  awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
  if [ "$(state_value "$root" network)" = "$(readlink /proc/self/ns/net)" ]; then # else all this went with its namespace
    for ((index = 2; index <= nodes; index++)); do
      ip link delete "$link-$index" 2>/dev/null || true
      ip netns delete "$(node_namespace "$index")" 2>/dev/null || true
    done
    ip link delete "$link" 2>/dev/null || true
    ip route delete unreachable "$pod_subnet" 2>/dev/null || true
    for name in "ip $table" 'ip kube-proxy' 'ip6 kube-proxy' 'inet cni_hostport' 'ip cni_hostport' 'ip6 cni_hostport'; do nft delete table $name 2>/dev/null || true; done
    forward_rules -D
    for name in "${kernel_settings[@]}"; do
      # a Docker engine needs forwarding too
      if [ "$name" = net.ipv4.ip_forward ] && pgrep -x dockerd >/dev/null; then continue; fi
      state_value "$root" "kernel.$name" > "/proc/sys/${name//./\/}" 2>/dev/null || true
    done
  fi
  wait_for 10 cgroups_gone || say "some cgroups named $cgroup are still in use"
  # Kubelet and the CNI library keep these here whatever their directories are. The socket may be another cluster's, in a namespace we cannot see.
  ! grep -q 'connection refused' <<<"$dead" || rm -f /var/lib/kubelet/device-plugins/kubelet.sock
  rmdir /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null || true
  grep -lsF "$root/" /var/lib/cni/results/* | xargs -r rm -f || true
  rmdir /var/lib/cni/results /var/lib/cni 2>/dev/null || true
  find /var/log/containers -lname "$root/*" -delete 2>/dev/null || true
  rmdir /var/log/containers 2>/dev/null || true
  rm -rf "${root:?}"
  say "the cluster and all its data are gone"
}

cgroups_gone() { local n; for ((n = 1; n <= nodes; n++)); do remove_cgroups "$(node_cgroup "$n")" || return 1; done; }
api_socket_alive() { timeout 5 "$root/bin/ctr" -a "$socket" version >/dev/null 2>&1; }

kill_pods() {
  local pid
  for _ in 1 2 3; do
    for pid in $(cgroup_processes) $(shims); do kill -KILL "$pid" 2>/dev/null || true; done
    sleep 0.2
  done
}
