# shellcheck shell=bash
# Caches that real tools have made, for the benchmark. Sourced; needs engine.sh and go.sh, npm, and root on a
# Debian system. They are made of what the registries have, so they differ a little from day to day; each is
# made once.

# What there is; bench/data-sets.ts describes them. node-modules-npm is made with the help of npm-cache.
# shellcheck disable=SC2034 # for who sources this
real_caches=(go-build-std npm-cache pnpm-store node-modules-npm apt-archives)

# make_real_cache NAME DIR (absolute): makes it at DIR/NAME, or says why not; nothing to do the second time
make_real_cache() (
  [ ! -d "$2/$1" ] || exit 0
  mkdir -p "$2" && work=$(mktemp -d "$2/$1.XXXXXX") || exit
  trap 'rm -rf "$work"' EXIT
  echo "Making $1, once." >&2
  if "real_cache__$1" "$work" "$2" >"$work/log" 2>&1; then
    mv -T "$work/cache" "$2/$1"
  else
    tail -n 5 "$work/log" >&2
    echo "$1 cannot be made here, and is left out." >&2
    exit 1
  fi
)

# Go's own standard library, compiled for three architectures; by the parts of golang:1 (go.sh).
real_cache__go-build-std() {
  local architecture go=$PWD/.cache/demo/golang
  install_go_image "$go" || return
  export GOROOT=$go/usr/local/go GOCACHE=$1/cache CGO_ENABLED=0 GOTOOLCHAIN=local GOENV=off
  for architecture in amd64 arm64 riscv64; do
    GOARCH=$architecture "$GOROOT/bin/go" build std || return
  done
}

# npm's cache after an installation of what this project needs.
real_cache__npm-cache() {
  real_cache__npm_ci "$1/project" "$1/cache"
}

real_cache__node-modules-npm() {
  real_cache__npm_ci "$1/project" "$2/npm-cache" && mv "$1/project/node_modules" "$1/cache"
}

# real_cache__npm_ci DIR CACHE
real_cache__npm_ci() {
  real_cache__copy_project "$1" &&
    npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --prefer-offline --cache "$2" &&
    rm -rf "$2/_logs"
}

real_cache__copy_project() {
  mkdir "$1" && cp package.json package-lock.json "$1"
}

# pnpm's store after the same.
real_cache__pnpm-store() {
  local pnpm=$1/pnpm/node_modules/.bin/pnpm
  npm install --no-audit --no-fund --no-save --prefix "$1/pnpm" pnpm@10 &&
    real_cache__copy_project "$1/project" && cd "$1/project" && "$pnpm" import &&
    "$pnpm" install --frozen-lockfile --ignore-scripts --store-dir "$1/cache" \
      --config.package-import-method=copy
}

# What apt has downloaded for a compiler or two: as on a system that has nothing yet.
real_cache__apt-archives() {
  local packages=(build-essential clang default-jdk-headless git python3-dev)
  mkdir -p "$1/apt/archives/partial" && touch "$1/status" || return
  apt-get update -qq || true
  apt-get install -y -qq --download-only --no-install-recommends \
    -o Dir::State::status="$1/status" -o Dir::Cache="$1/apt" -o APT::Sandbox::User=root "${packages[@]}" &&
    rm -rf "$1"/apt/archives/{partial,lock} && mv "$1/apt/archives" "$1/cache"
}
