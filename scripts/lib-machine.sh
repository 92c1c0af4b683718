# Shared by scripts/engine, scripts/cluster, scripts/peers and scripts/netns; sourced, not run.
# Holds: messages, waiting with a deadline, and unpacking Debian packages into the cache without touching the system's own apt state.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "error: $*"; exit 1; }
usage_error() { say "error: $* (see ${0##*/} --help)"; exit 2; }

# The comment block at the top of the calling script is its help text.
print_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

cache_root() { printf '%s\n' "${GRAPHBUNDLE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/graphbundle}"; }

# wait_for SECONDS COMMAND...: true once COMMAND succeeds, false when the deadline passes.
wait_for() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# A zombie counts as gone: some containers' first process is slow to reap.
process_gone() { [ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null; }

# stop_process PID SECONDS: TERM, then KILL when it outlives the deadline.
stop_process() {
  kill -TERM "$1" 2>/dev/null || return 0
  wait_for "$2" process_gone "$1" && return 0
  say "process $1 did not stop in $2 s; killing it"
  kill -KILL "$1" 2>/dev/null || true
  wait_for 5 process_gone "$1" || die "process $1 cannot be killed"
}

is_debian() { [ -r /etc/os-release ] && (. /etc/os-release; [ "${ID:-}" = debian ]); }

need_debian_root() { # WHAT
  is_debian || die "$1 can only be fetched on Debian; on this system install it with your package manager and run this again"
  [ "$(id -u)" = 0 ] || die "fetching $1 needs root"
}

# The mirror this machine already uses; never written into a file of the project.
debian_mirror() {
  local uri=
  [ ! -r /etc/apt/sources.list.d/debian.sources ] || uri=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources)
  if [ -z "$uri" ] && [ -r /etc/apt/sources.list ]; then
    uri=$(sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]*\)\?\([^[:space:]]\+\)[[:space:]].*/\2/p' /etc/apt/sources.list | head -n 1)
  fi
  [ -n "$uri" ] || die "no Debian mirror in /etc/apt/sources.list.d/debian.sources or /etc/apt/sources.list"
  printf '%s\n' "$uri"
}

# unpack_debian SUITE DIR PACKAGE...: download the packages of SUITE and unpack (not install) them into DIR.
# apt gets its own source list, lists and archives, so nothing under /etc/apt or /var/lib/apt changes. Files arrive in DIR one rename at
# a time, so a file that is there is whole, and a running program's file may be replaced.
unpack_debian() {
  local suite=$1 dir=$2; shift 2
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg work mirror
  [ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
  mirror=$(debian_mirror)
  mkdir -p "$dir"
  work=$(mktemp -d "$dir/.fetch.XXXXXX")
  mkdir -p "$work"/{lists/partial,archives/partial,debs,tree}
  echo "deb [signed-by=$keyring] $mirror $suite main" > "$work/sources.list"
  cat > "$work/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::Cache::archives "$work/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
CONF
  say "fetching from Debian $suite: $*"
  if ! { timeout 300 apt-get -qq -c "$work/apt.conf" update && cd "$work/debs" && timeout 900 apt-get -qq -c "$work/apt.conf" download "$@"; } >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    rm -rf "$work"
    die "apt could not download $* from Debian $suite"
  fi
  local deb file
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/tree"; done
  cd "$work/tree"
  while IFS= read -r -d '' file; do
    mkdir -p "$dir/${file%/*}"
    mv -fT "$file" "$dir/$file"
  done < <(find . \( -type f -o -type l \) \( -not -path './usr/share/*' -o -path './usr/share/go-*' \) -print0) # Go keeps its sources in share
  cd "$dir"
  rm -rf "$work"
}

# install_debian COMMAND=PACKAGE...: install by apt those packages whose command is missing (for what is bound to the system's libc).
install_debian() {
  local pair missing=()
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  need_debian_root "${missing[*]}"
  say "installing ${missing[*]}"
  local log; log=$(mktemp)
  install_packages() { DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
  if ! install_packages; then # perhaps the lists are empty or stale
    timeout 300 apt-get update -qq >"$log" 2>&1 || true
    install_packages || { tail -n 20 "$log" >&2; rm -f "$log"; die "apt could not install ${missing[*]}"; }
  fi
  rm -f "$log"
}
