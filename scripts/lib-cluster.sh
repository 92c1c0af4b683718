# The parts of scripts/cluster: names, the nodes' network and cgroups, starting and stopping. Needs lib-machine.sh, lib-engine.sh and $root set.
# cluster.d/programs.sh builds and fetches, cluster.d/settings.sh writes certificates, configuration files and the cluster's own objects.

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
