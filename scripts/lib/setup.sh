# shellcheck shell=bash
# What scripts/test, scripts/demo and scripts/bench need before they can begin. Sourced; needs engine.sh and
# buildkit.sh.

# install_packages: the npm packages of package-lock.json, where they are not there yet
install_packages() {
  if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund
    touch node_modules/.package-lock.json
  fi
}

# start_builder KIND: a builder that may be filled and emptied at will, and that docker buildx uses by
# default from then on. KIND is
# - classic or containerd: the own builder of a private engine with that image store;
# - container: a docker-container builder on the default bridge, on a private engine or, if there can be
#   none, on the machine's own.
# It sets TEST_BUILDER to the driver (docker or docker-container). If there can be no private engine,
# the builder is of the kind container in any case.
start_builder() {
  if [ "$1" = container ]; then
    start_container_builder
  elif engine_possible; then
    engine_install "$PWD/.cache/engine"
    engine_start buildkit-cache-mounts "$1"
    export TEST_BUILDER=docker
  elif container_builder_possible; then
    start_container_builder
  else
    echo "A Docker engine is needed: run this as root on a Debian system (it starts a private engine)," >&2
    echo "or where \"docker buildx\" works and ${buildkit_image:?} is there or can be pulled." >&2
    return 1
  fi
}

stop_builder() {
  if [ -n "${ENGINE_PID-}" ]; then
    engine_stop
  elif [ -n "${BUILDX_BUILDER-}" ]; then
    docker buildx rm --force "$BUILDX_BUILDER" >/dev/null
  fi
  unset TEST_BUILDER BUILDX_BUILDER ENGINE_PID
}

# container_builder_possible: a private engine can have BuildKit's image, or the machine's own has it
container_builder_possible() {
  if engine_possible; then
    buildkit_possible "$PWD/.cache/buildkit"
  else
    docker buildx version >/dev/null 2>&1 && buildkit__can_pull
  fi
}

start_container_builder() {
  if engine_possible; then
    engine_install "$PWD/.cache/engine"
    buildkit_install "$PWD/.cache/buildkit"
    engine_start buildkit-cache-mounts classic
    buildkit_load "$PWD/.cache/buildkit"
  fi
  create_container_builder
}

# create_container_builder: on the engine that docker reaches
create_container_builder() {
  BUILDX_BUILDER=buildkit-cache-mounts-$$
  export BUILDX_BUILDER TEST_BUILDER=docker-container
  docker buildx create --name "$BUILDX_BUILDER" --driver docker-container --bootstrap \
    --buildkitd-config scripts/lib/buildkitd.toml ${GOGC:+--driver-opt "env.GOGC=$GOGC"} >/dev/null
}

# as_on_runner COMMAND…: run the command where a runner's steps stand: a container reaches it at the
# gateway of Docker's bridge
as_on_runner() {
  if [ -n "${ENGINE_PID-}" ]; then engine_enter "$@"; else "$@"; fi
}

# install_node24: NODE24 is a node of that version, as today's runners use for these actions
install_node24() {
  local version=24.21.0 directory=$PWD/.cache/node24 architecture
  case $(uname -m) in
    aarch64 | arm64) architecture=arm64 ;;
    *) architecture=x64 ;;
  esac
  NODE24=$directory/node_modules/node-linux-$architecture/bin/node
  export NODE24
  if [ "$("$NODE24" --version 2>/dev/null)" != "v$version" ]; then
    npm install --no-audit --no-fund --no-save --no-package-lock --prefix "$directory" \
      "node-linux-$architecture@$version"
  fi
}

# install_attribute_tools: what the tests make and list extended attributes and ACLs with
install_attribute_tools() {
  if command -v setfattr >/dev/null && command -v setfacl >/dev/null; then
    return
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need getfattr and getfacl: install the packages attr and acl." >&2
    return 1
  fi
  apt-get update -qq
  apt-get install -qq -y attr acl
}

# install_registry: REGISTRY is a program that serves images; by default Debian's, only unpacked, as
# its package would make a service of it
install_registry() {
  export REGISTRY=${REGISTRY:-$PWD/.cache/docker-registry}
  if [ -x "$REGISTRY" ]; then
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "The tests need a registry for images: set REGISTRY to the program (such as docker-registry)." >&2
    return 1
  fi
  unpack_registry
}

# (A subshell, so that its trap removes the work directory however it ends.)
unpack_registry() (
  mkdir -p "$PWD/.cache"
  work=$(mktemp -d "$PWD/.cache/registry.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work" || exit
  download() { apt-get -o APT::Sandbox::User=root download -qq docker-registry; }
  # Without lists, apt knows no package; only root can load them.
  download || { apt-get update -qq && download; }
  dpkg -x docker-registry_*.deb .
  mv usr/bin/docker-registry "$REGISTRY"
)

# check_dist: fails where what the build writes, such as the bundles, is not what the sources give
check_dist() {
  local path before built=(dist action.yml inject/action.yml extract/action.yml docs/inputs.md) stale=()
  before=$(mktemp -d)
  cp -r --parents "${built[@]}" "$before"
  npm run --silent build >/dev/null
  for path in "${built[@]}"; do
    diff -r "$before/$path" "$path" || stale+=("$path")
  done
  rm -rf "$before"
  if [ ${#stale[@]} -gt 0 ]; then
    echo "Not what the sources gave; it is now, so commit it: ${stale[*]}" >&2
    return 1
  fi
}
