# The parts of scripts/engine: finding or fetching the programs, asking an engine, and the private engine. Needs lib-machine.sh.

engine_dir=$(cache_root)/engine
engine_path="$engine_dir/usr/sbin:$engine_dir/usr/bin:$PATH:/usr/sbin:/sbin" # the PATH dockerd runs with
timeout_s=${ENGINE_TIMEOUT_S:-60}

# --- programs ----------------------------------------------------------------------------------------------------------------------

# file in the cache = sid package that has it. Compose, buildx and the client are needed only where the machine has none.
engine_files=(usr/sbin/dockerd=docker.io usr/sbin/docker-proxy=docker.io usr/bin/tini-static=tini-static
  usr/bin/containerd=containerd usr/bin/containerd-shim-runc-v2=containerd usr/bin/ctr=containerd)
client_file=usr/bin/docker=docker-cli
plugin_dir=usr/libexec/docker/cli-plugins

# fetch_missing FILE=PACKAGE...: bring those packages whose file the cache lacks. One process at a time.
fetch_missing() {
  local pair packages
  missing_packages() { for pair in "$@"; do [ -x "$engine_dir/${pair%%=*}" ] || echo "${pair#*=}"; done | sort -u; }
  [ -n "$(missing_packages "$@")" ] || return 0
  need_debian_root "Docker"
  mkdir -p "$engine_dir"
  (
    flock -w 900 9 || die "another process has been filling $engine_dir for 15 minutes"
    packages=$(missing_packages "$@")
    # shellcheck disable=SC2086 # package names are words
    [ -z "$packages" ] || unpack_debian sid "$engine_dir" $packages
  ) 9>"$engine_dir/.lock"
  packages=$(missing_packages "$@")
  [ -z "$packages" ] || die "the Debian packages $packages no longer hold the files they held: $(printf '%s ' "$@")"
}

# provide_programs [engine]: the client and its two plugins where the machine has none (links into the cache), and with `engine` also
# dockerd and containerd: the cache's, else recent installed ones, else fetched.
provide_programs() {
  local wanted=() file name plugins=/usr/local/lib/docker/cli-plugins bin=/usr/local/bin
  if [ "$(id -u)" != 0 ]; then plugins=$HOME/.docker/cli-plugins bin=$HOME/.local/bin; fi
  if [ "${1:-}" = engine ]; then
    install_debian runc=runc iptables=iptables ip=iproute2 flock=util-linux
    installed_engine_will_do || wanted+=("${engine_files[@]}")
  fi
  command -v docker >/dev/null || wanted+=("$client_file")
  for name in compose buildx; do docker "$name" version >/dev/null 2>&1 || wanted+=("$plugin_dir/docker-$name=docker-$name"); done
  [ ${#wanted[@]} -gt 0 ] || return 0
  fetch_missing "${wanted[@]}"
  for file in usr/sbin/dockerd usr/bin/containerd; do
    [[ " ${wanted[*]}" != *" $file="* ]] || "$engine_dir/$file" --version >/dev/null 2>&1 ||
      die "$engine_dir/$file does not run on this system: $("$engine_dir/$file" --version 2>&1 | tail -n 1)"
  done
  if ! command -v docker >/dev/null; then
    if ! "$engine_dir/usr/bin/docker" --version >/dev/null 2>&1; then
      say "sid's docker client does not run on this system's libc; taking the release's own"
      unpack_debian "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$engine_dir/release" docker.io
      mv -fT "$engine_dir/release/usr/bin/docker" "$engine_dir/usr/bin/docker"
      rm -rf "$engine_dir/release"
    fi
    mkdir -p "$bin"
    ln -sfT "$engine_dir/usr/bin/docker" "$bin/docker"
    hash -r
    command -v docker >/dev/null || die "$bin is not on PATH; add it"
  fi
  for name in compose buildx; do
    docker "$name" version >/dev/null 2>&1 && continue
    mkdir -p "$plugins"
    ln -sfT "$engine_dir/$plugin_dir/docker-$name" "$plugins/docker-$name"
  done
}

installed_engine_will_do() {
  local major
  [ ! -x "$engine_dir/usr/sbin/dockerd" ] || return 1
  PATH=$engine_path command -v dockerd >/dev/null && PATH=$engine_path command -v containerd-shim-runc-v2 >/dev/null || return 1
  major=$(PATH=$engine_path dockerd --version | sed -n 's/^Docker version \([0-9]*\).*/\1/p')
  [ "${major:-0}" -ge 24 ] # the first with both image stores
}

tools_work() { docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

# --- asking an engine (the one DOCKER_HOST or the client's context names) ------------------------------------------------------------

engine_address() { docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || printf '%s\n' "${DOCKER_HOST:-unix:///var/run/docker.sock}"; }
engine_version() { timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null; }
engine_store() { # with the containerd store the driver's status names the snapshotter
  case $(timeout 20 docker info --format '{{json .DriverStatus}}' 2>/dev/null) in *io.containerd.snapshotter*) echo containerd;; *) echo classic;; esac
}
engine_answers() {
  local version major minor
  version=$(engine_version) || return 1
  IFS=. read -r major minor _ <<<"$version"
  [ "${major:-0}" -gt 20 ] || { [ "${major:-0}" -eq 20 ] && [ "${minor:-0}" -ge 10 ]; }
}

# await_engine PID LOG: until it answers; the end of the log when it does not.
await_engine() {
  local deadline=$((SECONDS + timeout_s))
  until engine_version >/dev/null; do
    if process_gone "$1"; then tail -n 20 "$2" >&2; die "dockerd ended; its log is above ($2)"; fi
    if [ "$SECONDS" -ge "$deadline" ]; then tail -n 20 "$2" >&2; die "dockerd did not answer within $timeout_s s; its log is above ($2)"; fi
    sleep 0.1
  done
}

# --- the private engine --------------------------------------------------------------------------------------------------------------
# DIR/state holds what `down` must undo even when the engine died: its socket, bridge, pool, cgroup, firewall and the FORWARD policy it
# found, and the network namespace all these are in.

state_value() { sed -n "s/^$2=//p" "$1/state" 2>/dev/null || true; }
private_pid() { # DIR NAME: the process id, if that process is still ours
  local pid; pid=$(cat "$1/$2.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 1
  [[ "$(tr '\0' ' ' < "/proc/$pid/cmdline")" == *" $1/"* ]] && echo "$pid"
}

private_up() { # DIR STORE SOCKET
  local root=$1 store=$2 host=$3 pid
  export DOCKER_HOST=unix://$host
  if [ -e "$root/state" ]; then
    if private_pid "$root" dockerd >/dev/null && [ "$(state_value "$root" host)" = "$host" ] && engine_answers; then
      [ "$(engine_store)" = "$store" ] || die "the private engine in $root has the $(engine_store) image store; stop it first (down --root)"
      say "the private engine in $root runs already"
      echo "unix://$host"
      return
    fi
    say "clearing what a dead engine left in $root"
    private_down "$root"
  fi
  [ "$(id -u)" = 0 ] || die "a private engine needs root"
  [ ${#root} -le 75 ] || die "--root is ${#root} characters long; a socket's path may have 107, so give at most 75"
  [ ${#host} -le 107 ] || die "--host is ${#host} characters long; a socket's path may have 107"
  [ ! -e "$host" ] || die "$host exists"
  if [ -d "$root" ] && [ -n "$(ls -A "$root")" ]; then die "$root is not empty and holds no engine of ours"; fi
  provide_programs engine
  mkdir -p "$root" "${host%/*}"
  starting=$root
  trap 'private_down "$starting"' EXIT # a start that fails leaves nothing
  take_bridge "$root" "$host"
  write_settings "$root" "$store" "$host"
  # Its own containerd: two engines on one would share the namespace "moby". No CRI, no other snapshotters.
  PATH=$engine_path setsid containerd --config "$root/containerd.toml" >"$root/containerd.log" 2>&1 </dev/null &
  echo $! > "$root/containerd.pid"
  wait_for 20 test -S "$root/containerd.sock" || { tail -n 20 "$root/containerd.log" >&2; die "containerd did not start; its log is above"; }
  PATH=$engine_path setsid dockerd --config-file "$root/daemon.json" >"$root/dockerd.log" 2>&1 </dev/null &
  pid=$!
  await_engine "$pid" "$root/dockerd.log"
  [ "$(engine_store)" = "$store" ] || die "the engine came up with the $(engine_store) image store; this Docker may be too old for $store"
  trap - EXIT
  say "private Docker Engine $(engine_version), $store image store, containers on $(state_value "$root" pool), firewall chains: $(state_value "$root" firewall)"
  echo "unix://$host"
}

# take_bridge DIR SOCKET: a bridge with a free subnet out of 10.201-250.0.0/16, and the state file.
# An engine that starts with iptables on deletes the DOCKER chains of any other in the same network namespace (seen on 28.5.2), so
# where they exist the private one runs without, and its pool gets the three rules containers need.
take_bridge() {
  local root=$1 host=$2 taken number bridge pool firewall=own
  (
    flock -w 60 9 || die "another start has held /run/graphbundle-bridges.lock for a minute"
    taken=$(ip -4 route show table all)
    for number in $(seq 201 250); do [[ $taken == *"10.$number."* ]] || break; done
    bridge=gb$number pool=10.$number.0.0/16
    if iptables -w 10 -t nat -nL DOCKER >/dev/null 2>&1; then firewall=none; fi
    ip link add "$bridge" type bridge || die "the kernel refuses bridge $bridge"
    printf '%s\n' "host=$host" "bridge=$bridge" "pool=$pool" "cgroup=bundle-engine-$(cksum <<<"$root" | cut -d ' ' -f 1)" "firewall=$firewall" \
      "forward=$(iptables -w 10 -S FORWARD 2>/dev/null | awk '$1 == "-P" { print $3 }')" "network=$(readlink /proc/self/ns/net)" > "$root/state"
    ip addr add "10.$number.0.1/24" dev "$bridge"
    ip link set "$bridge" up
    [ "$firewall" = own ] || pool_rules -I "$pool"
  ) 9>/run/graphbundle-bridges.lock
}

pool_rules() { # -I|-D POOL
  iptables -w 10 -t nat "$1" POSTROUTING -s "$2" ! -d "$2" -j MASQUERADE
  iptables -w 10 "$1" FORWARD -s "$2" -j ACCEPT
  iptables -w 10 "$1" FORWARD -d "$2" -j ACCEPT
}

write_settings() { # DIR STORE SOCKET
  local root=$1 store=$2 host=$3 chains=false
  [ "$(state_value "$root" firewall)" != own ] || chains=true
  cat > "$root/containerd.toml" <<TOML
version = 2
root = "$root/containerd"
state = "$root/exec/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "$root/containerd.sock"
TOML
  cat > "$root/daemon.json" <<JSON
{"hosts": ["unix://$host"], "data-root": "$root/data", "exec-root": "$root/exec", "pidfile": "$root/dockerd.pid", "containerd": "$root/containerd.sock",
 "bridge": "$(state_value "$root" bridge)", "default-address-pools": [{"base": "$(state_value "$root" pool)", "size": 24}],
 "cgroup-parent": "/$(state_value "$root" cgroup)", "exec-opts": ["native.cgroupdriver=cgroupfs"], "iptables": $chains, "ip6tables": $chains,
 "shutdown-timeout": 5, "features": {"containerd-snapshotter": $([ "$store" = containerd ] && echo true || echo false)}}
JSON
}

private_down() { # DIR
  local root=$1 host bridge pool cgroup pid link
  [ -e "$root/state" ] || { say "no private engine in $root; nothing to do"; return; }
  host=$(state_value "$root" host) bridge=$(state_value "$root" bridge) pool=$(state_value "$root" pool) cgroup=$(state_value "$root" cgroup)
  if pid=$(private_pid "$root" dockerd); then
    if DOCKER_HOST=unix://$host engine_answers; then # killing is quicker than the ten seconds a stop may take
      DOCKER_HOST=unix://$host docker ps -aq | DOCKER_HOST=unix://$host timeout 60 xargs -r docker rm -f >/dev/null 2>&1 || say "not all containers could be removed"
      DOCKER_HOST=unix://$host timeout 30 docker network prune -f >/dev/null 2>&1 || true
    fi
    stop_process "$pid" 30
  elif DOCKER_HOST=unix://$host engine_answers; then
    die "the engine in $root runs in another process namespace; stop it there (scripts/netns run ends with its command)"
  fi
  if pid=$(private_pid "$root" containerd); then stop_process "$pid" 10; fi
  # what a killed engine leaves: shims (each carries its containerd's socket in its arguments), containers, mounts, bridges, cgroups
  for pid in $(ps -eo pid=,args= | awk -v socket="$root/containerd.sock" 'index($0, "containerd-shim") && index($0, socket) { print $1 }'); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  for pid in $(cat /sys/fs/cgroup/*/"$cgroup"/*/cgroup.procs /sys/fs/cgroup/"$cgroup"/*/cgroup.procs 2>/dev/null | sort -u); do kill -KILL "$pid" 2>/dev/null || true; done
  awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
  if [ "$(state_value "$root" network)" = "$(readlink /proc/self/ns/net)" ]; then # else they went with their namespace
    for link in "$bridge" $(ip -o -4 addr show 2>/dev/null | awk -v start="${pool%.0.0/16}." '$2 ~ /^br-/ && index($4, start) == 1 { print $2 }'); do
      ip link delete "$link" 2>/dev/null || true
    done
    if [ "$(state_value "$root" firewall)" = own ]; then drop_chains "$pool" "$(state_value "$root" forward)"; else pool_rules -D "$pool" 2>/dev/null || true; fi
  fi
  wait_for 5 remove_cgroups "$cgroup" || say "some cgroups named $cgroup are still in use"
  rm -rf "${root:?}"/{data,exec,containerd,state,daemon.json,containerd.toml,docker.sock,containerd.sock,containerd.sock.ttrpc,dockerd.pid,containerd.pid,dockerd.log,containerd.log}
  rm -f "$host"
  rmdir "$root" 2>/dev/null || true # not ours if it holds something else
}

remove_cgroups() {
  find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null || true
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$1" -print -quit)" ]
}

# drop_chains POOL FORWARD-POLICY: the chains of an engine that was alone in its network namespace, unless another one has come since.
drop_chains() {
  local pid table program
  for pid in $(pgrep -x dockerd); do
    [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || return 0
  done
  for program in iptables ip6tables; do
    for table in filter nat raw; do
      "$program-save" -t "$table" 2>/dev/null | grep -vF -e DOCKER -e "${1%0.0/16}" | "$program-restore" 2>/dev/null || true
    done
  done
  iptables -w 10 -P FORWARD "${2:-ACCEPT}"
}
