# What scripts/cluster writes before it starts anything: certificates, kubeconfigs, configuration files, and the cluster's own objects.

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
