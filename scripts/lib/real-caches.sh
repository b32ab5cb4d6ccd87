# shellcheck shell=bash
# Caches that real tools have made, for the benchmark. Sourced; needs engine.sh, buildkit.sh, go.sh, npm, and root on a
# Debian system. They are made of what the registries have, so they differ a little from day to day; each is
# made once.

# What there is; bench/data-sets.ts describes them. node-modules-npm is made with the help of npm-cache.
# shellcheck disable=SC2034 # for who sources this
real_caches=(go-build-std go-build-buildkit npm-cache pnpm-store node-modules-npm apt-archives cargo-registry
  cargo-target-clap ccache-git)

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

# Go's build cache of BuildKit, and of the standard library with it.
real_cache__go-build-buildkit() {
  local architecture
  buildkit__get_sources "$1" || return
  for architecture in amd64 arm64; do
    GOARCH=$architecture buildkit__compile "$1" || return
  done
  mv "$1/gocache" "$1/cache"
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
  real_cache__download_debs "$1" build-essential clang default-jdk-headless git python3-dev &&
    rm -rf "$1"/apt/archives/{partial,lock} && mv "$1/apt/archives" "$1/cache"
}

real_cache__crates=(librust-clap-dev librust-regex+default-dev librust-serde-json-dev librust-serde-derive-dev
  librust-tokio-dev)

# Well-known crates, and what they depend on, as Debian has them.
real_cache__cargo-registry() {
  real_cache__unpack_debs "$1" "${real_cache__crates[@]}" && mv "$1/root/usr/share/cargo/registry" "$1/cache"
}

# cargo's target directory of a small program with these crates, by Debian's cargo: debug and release.
real_cache__cargo-target-clap() {
  local root=$1/root
  real_cache__unpack_debs "$1" cargo "${real_cache__crates[@]}" || return
  real_cache__write_program "$1/project" "$root/usr/share/cargo/registry" || return
  export CARGO_HOME=$1/project/home CARGO_TARGET_DIR=$1/cache RUSTC=$root/usr/bin/rustc
  cd "$1/project" && "$root/usr/bin/cargo" build --offline && "$root/usr/bin/cargo" build --offline --release
}

# real_cache__write_program DIR CRATES
real_cache__write_program() {
  mkdir -p "$1"/{src,home} || return
  cat >"$1/home/config.toml" <<END || return
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "$2"
END
  cat >"$1/Cargo.toml" <<'END' || return
[package]
name = "program"
version = "0.1.0"
edition = "2021"
[dependencies]
clap = { version = "*", features = ["derive"] }
regex = "*"
serde = { version = "*", features = ["derive"] }
serde_json = "*"
tokio = { version = "*", features = ["full"] }
END
  cat >"$1/src/main.rs" <<'END'
use clap::Parser;

#[derive(Parser, serde::Serialize)]
struct Args {
    #[arg(default_value = "a")]
    pattern: String,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let found = regex::Regex::new(&args.pattern).map(|it| it.is_match("text")).unwrap_or(false);
    println!("{} {}", serde_json::to_string(&args).unwrap(), found);
}
END
}

# ccache's directory after all that Git compiles.
real_cache__ccache-git() {
  local ccache=$1/root/usr/bin/ccache without
  real_cache__unpack_debs "$1" ccache zlib1g-dev || return
  # shellcheck disable=SC2034 # what engine__download gets
  engine__packages=(git)
  engine__download "$1" && engine__add_sources "$1" || return
  engine__download_source "$1" git
  mkdir "$1/source" && tar -C "$1/source" --strip-components 1 -xf "$(compgen -G "$1/git_*.orig.tar.xz")" || return
  export CCACHE_DIR=$1/cache
  without=(NO_{CURL,OPENSSL,EXPAT,GETTEXT,TCLTK,PERL,PYTHON}"=1")
  make -C "$1/source" -j "$(nproc)" CC="$ccache gcc" ZLIB_PATH="$1/root/usr" "${without[@]}" objects
}

# real_cache__unpack_debs DIR PACKAGE…: into DIR/root, and has their libraries found there
real_cache__unpack_debs() {
  local deb
  real_cache__download_debs "$@" || return
  for deb in "$1"/apt/archives/*.deb; do
    case ${deb##*/} in
      # The machine's own are used for these.
      libc6* | libgcc* | libstdc* | gcc* | cpp*) ;;
      *) dpkg -x "$deb" "$1/root" || return ;;
    esac
  done
  LD_LIBRARY_PATH=$(echo "$1"/root/usr/lib/*-linux-gnu)
  export LD_LIBRARY_PATH
}

# real_cache__download_debs DIR PACKAGE…: into DIR/apt/archives, with all that they depend on
real_cache__download_debs() {
  local directory=$1
  shift
  mkdir -p "$directory/apt/archives/partial" && touch "$directory/status" || return
  apt-get update -qq || true
  apt-get install -y -qq --download-only --no-install-recommends -o Dir::State::status="$directory/status" \
    -o Dir::Cache="$directory/apt" -o APT::Sandbox::User=root "$@"
}
