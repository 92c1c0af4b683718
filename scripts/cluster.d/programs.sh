# The programs of scripts/cluster: built from Go modules, or unpacked from Debian's packages; and the images made of them.

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
