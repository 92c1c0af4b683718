# Sourced by scripts that run tests on a Kubernetes; the working directory is the project's.
# shellcheck shell=bash

# cluster_for_tests: scripts/cluster, and over it what k3s shows on its node, until the script ends.
cluster_for_tests() {
  local node
  scripts/cluster up >/dev/null
  eval "$(scripts/cluster env)"
  node=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory of now
  trap "scripts/k3s-stand-in down '$node'" EXIT
  scripts/k3s-stand-in up "$node"
  eval "$(scripts/k3s-stand-in env "$node")"
}
