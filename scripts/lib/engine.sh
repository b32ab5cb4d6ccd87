# shellcheck shell=bash
#
# A private Docker engine for tests. Source this file, then:
#
#     engine_possible || exit 0       # can this machine have one?
#     engine_install .cache/engine    # get the parts; nothing to do the second time
#     trap engine_stop EXIT           # before the start, which may be interrupted half-way
#     trap 'exit 130' INT             # or bash goes on after a Ctrl-C that docker has handled
#     engine_start mytest classic     # or containerd: the image store
#     docker buildx build …
#     engine_enter COMMAND…           # in the network of the engine
#     engine_stop                     # may be called twice, and without a start
#
# It needs root. A shell has one engine at a time, and the engine ends with that
# shell, however the shell ends; so start it neither in $(…) nor in a pipe.
#
# What the machine's own Docker holds is not touched: the engine has network,
# mount and process namespaces, sockets and configuration of its own, and on the
# root file system it can write below its own directory, ENGINE_DIR, only. When
# the first process of a process namespace ends, the kernel ends all the others;
# with the last of them go their mounts and network.
#
# The network inside is that of a runner of GitHub's without a way out: a loopback and Docker's
# bridge. What engine_enter starts stands where the runner's steps stand: a container reaches it at the
# gateway of the bridge, 172.17.0.1. No image can be pulled.

# What engine_install puts into DIR/bin, and the commands (with their Debian
# packages) that the machine itself must have. runc is among these because a
# newer Debian's wants a newer libc.
engine__parts=(dockerd docker-init docker containerd containerd-shim-runc-v2 docker-buildx)
engine__tools=(runc iptables ip unshare nsenter setpriv setsid pgrep)
engine__tool_packages=(runc iptables iproute2 util-linux procps)

# Debian's stable releases have too old a Docker, and some no buildx.
engine__suite=forky
engine__packages=(docker.io docker-cli docker-buildx containerd tini-static)
engine__oldest_dockerd=27

engine__say() { printf 'engine: %s\n' "$*" >&2; }

# engine_possible: is a private engine to be had here?
engine_possible() {
  [[ $(uname -s) == Linux && $EUID -eq 0 ]] || return 1
  # Root inside a container may lack the right to make namespaces.
  unshare --net --mount --pid --fork true 2>/dev/null || return 1
  engine__machine_has_all || engine__is_debian
}

engine__is_debian() {
  grep -qsx 'ID="\?debian"\?' /etc/os-release && command -v apt-get >/dev/null
}

# engine_install DIR: make all parts available in DIR and print their versions.
engine_install() {
  mkdir -p "$1" && engine__home=$(cd "$1" && pwd) || return
  (flock 9 && engine__install_missing) 9>"$engine__home/.lock" || return
  "$engine__home/bin/dockerd" --version
  "$engine__home/bin/docker-buildx" version
  "$engine__home/bin/containerd" --version
  "$(engine__which runc)" --version | head -n 1
}

engine__install_missing() {
  ! engine__is_complete || return 0
  if engine__machine_has_all; then
    engine__link_machine_parts || return
  elif engine__is_debian && ((EUID == 0)); then
    engine__install_tools && engine__install_debian_parts || return
  else
    engine__say "this machine has no complete Docker Engine >= $engine__oldest_dockerd (with" \
      "containerd, runc, iptables, buildx); it can be installed as root on Debian only"
    return 1
  fi
  engine__is_complete || { engine__say "parts are missing in $engine__home/bin or on PATH"; return 1; }
}

engine__is_complete() {
  local part
  for part in "${engine__parts[@]}"; do [[ -x $engine__home/bin/$part ]] || return 1; done
  engine__has_tools
}

engine__has_tools() {
  local tool
  for tool in "${engine__tools[@]}"; do engine__which "$tool" >/dev/null || return 1; done
}

# The PATH of a user may lack the sbin folders.
engine__which() { PATH=$PATH:/usr/sbin:/sbin command -v "$1"; }

# --- parts that the machine has ---

engine__machine_part() {
  local dir
  [[ $1 == docker-buildx ]] || { engine__which "$1"; return; }
  # where docker looks for its plugins
  for dir in "${DOCKER_CONFIG:-${HOME:-}/.docker}" /usr/{local/,}{lib,libexec}/docker; do
    [[ ! -x $dir/cli-plugins/$1 ]] || { echo "$dir/cli-plugins/$1"; return; }
  done
  return 1
}

# All or nothing: nobody runs one version's client with parts of another's engine.
engine__machine_has_all() {
  local part major
  engine__has_tools || return 1
  for part in "${engine__parts[@]}"; do engine__machine_part "$part" >/dev/null || return 1; done
  major=$("$(engine__which dockerd)" --version | sed -n 's/^Docker version \([0-9]*\).*/\1/p')
  ((${major:-0} >= engine__oldest_dockerd))
}

engine__link_machine_parts() {
  local part
  mkdir -p "$engine__home/bin" || return
  for part in "${engine__parts[@]}"; do
    ln -sfn "$(engine__machine_part "$part")" "$engine__home/bin/$part" || return
  done
}

# --- parts from Debian ---

engine__apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-upgrade --no-install-recommends "$@" >&2
}

engine__install_tools() {
  # Needed in any case: engine__archives reads these lists. Some third party's
  # source may fail without harm.
  apt-get update -qq >&2 || engine__say 'apt-get update failed; going on with what there is'
  engine__has_tools || engine__apt_install "${engine__tool_packages[@]}"
}

# (A subshell, so that its trap removes the work folder however it ends.)
engine__install_debian_parts() (
  work=$(mktemp -d "$engine__home/work.XXXXXX") || exit
  trap 'rm -rf "$work"' EXIT
  engine__download "$work" && engine__unpack "$work" && engine__load_libraries "$work" || exit
  rm -rf "${engine__home:?}/bin" && mv "$work/bin" "$engine__home/bin"
)

# The archives to try, in order. apt tells which of the machine's sources are
# Debian's own (neither security nor backports nor a third party's), however they
# are written down. If it is a dated snapshot, that may be older than our suite;
# then ask the same service for today's.
engine__archives() {
  local uris
  # shellcheck disable=SC2016 # apt expands these
  uris=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|Debian|//p' | sort -u) || return
  printf '%s\n' "$uris"
  sed -En "s#/[0-9]{8}T[0-9]{6}Z(/|\$)#/$(date -u +%Y%m%dT000000Z)\1#p" <<<"$uris"
}

# Download our packages to WORK/debs with the machine's apt (its proxies and
# credentials), but with sources, lists and cache of our own.
engine__download() {
  local work=$1 archive key=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$work"/{lists,cache/archives}/partial "$work/debs" && touch "$work/status" || return
  cat >"$work/apt.conf" <<END || return
Dir::Etc { sourcelist "$work/sources.list"; sourceparts "/dev/null"; preferences "/dev/null"; preferencesparts "/dev/null"; };
Dir::State { lists "$work/lists"; status "$work/status"; };
Dir::Cache "$work/cache";
APT::Default-Release "";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false"; // a snapshot is past its date
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
  for archive in $(engine__archives); do
    echo "deb $([[ ! -e $key ]] || echo "[signed-by=$key]") $archive $engine__suite main" >"$work/sources.list"
    apt-get -c "$work/apt.conf" update -qq >&2 || continue
    (cd "$work/debs" && apt-get -c "$work/apt.conf" download -qq "${engine__packages[@]}" >&2) && return
  done
  engine__say "no ${engine__packages[*]} of $engine__suite in this machine's Debian sources"
  return 1
}

# engine__add_sources WORK: from here on the packages that engine__download can get have their sources, too
engine__add_sources() {
  sed -n 's/^deb /deb-src /p' "$1/sources.list" >"$1/deb-src"
  cat "$1/deb-src" >>"$1/sources.list"
  apt-get -c "$1/apt.conf" update -qq >&2
}

# engine__download_source WORK PACKAGE: into WORK, when the sources are added. An archive may have lost some of a
# source package's files, so whoever wants one of them looks whether it is there.
engine__download_source() {
  (cd "$1" && apt-get -c "$1/apt.conf" source --download-only -qq "$2" >&2) || true
}

engine__unpack() {
  local work=$1 deb part file
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root" || return; done
  mkdir "$work/bin" || return
  for part in "${engine__parts[@]}"; do
    # -L: docker-init is a link to tini-static
    file=$(find -L "$work/root/usr" -type f -perm /111 -name "$part")
    cp -L "$file" "$work/bin/" || return
  done
}

# Libraries that the programs want and the machine lacks come from the machine's
# own release, under the names that the packages' dependencies give.
engine__load_libraries() {
  local work=$1 deb names
  [[ -n $(engine__not_loading "$work/bin") ]] || return 0
  names=$(for deb in "$work"/debs/*.deb; do dpkg-deb --field "$deb" Depends; done |
    tr ',' '\n' | sed -n 's/^ *\(lib[^ :(]*\).*/\1/p' | sort -u)
  # shellcheck disable=SC2086 # one word, one package
  engine__apt_install $names || true
  [[ -z $(engine__not_loading "$work/bin") ]] && return
  engine__say "the programs of Debian $engine__suite do not load here: $(engine__not_loading "$work/bin")"
  return 1
}

engine__not_loading() { ldd "$1"/* 2>&1 | grep 'not found' | sort -u || true; }

# --- running ---

# engine_start NAME classic|containerd: start an engine and make docker talk to it.
engine_start() {
  local snapshotter
  case $2 in
    classic) snapshotter=false ;;
    containerd) snapshotter=true ;;
    *) engine__say "unknown image store: $2"; return 1 ;;
  esac
  [[ -n ${engine__home:-} ]] || { engine__say 'call engine_install first'; return 1; }
  engine_stop
  if ! { engine__make_directory "$1" && engine__launch "$snapshotter" && engine__await "$snapshotter"; }; then
    engine_stop
    return 1
  fi
}

# A fresh ENGINE_DIR. A socket's path is 107 characters at most, and the longest
# below it has 38 more; and /run is another folder inside.
engine__make_directory() {
  ENGINE_DIR=$(mktemp -d "$(realpath "${TMPDIR:-/tmp}")/engine-${1//[^A-Za-z0-9_-]/_}.XXXXXX") || return
  engine__dir=$ENGINE_DIR
  engine__owner=$BASHPID
  if ((${#ENGINE_DIR} > 69)) || [[ $ENGINE_DIR == /run/* ]]; then
    engine__say "want a shorter name or TMPDIR, and not below /run: $ENGINE_DIR"
    return 1
  fi
  mkdir -p "$ENGINE_DIR"/{home,tmp,cli/cli-plugins} || return
  engine__make_plugin "$ENGINE_DIR/cli/cli-plugins/docker-buildx" || return
  # Without BuildKit's garbage collection, as in buildkitd.toml.
  echo '{"builder":{"gc":{"enabled":false}}}' >"$ENGINE_DIR/daemon.json"
  engine__export
}

# buildx as docker's plugin. What docker asks a plugin before each use of it, it always answers alike,
# and takes longer for that than docker itself: so it is asked once.
engine__make_plugin() {
  local buildx=$engine__home/bin/docker-buildx
  "$buildx" docker-cli-plugin-metadata >"$ENGINE_DIR/cli/buildx-metadata" || return
  cat >"$1" <<END || return
#!/bin/sh
if [ "\$1" = docker-cli-plugin-metadata ]; then exec cat '$ENGINE_DIR/cli/buildx-metadata'; fi
exec '$buildx' "\$@"
END
  chmod +x "$1"
}

# From here on docker means our docker and our engine; after engine_stop too, so
# that no later command reaches the machine's own by mistake.
engine__export() {
  export ENGINE_DIR DOCKER_HOST=unix://$ENGINE_DIR/docker.sock
  export DOCKER_CONFIG=$ENGINE_DIR/cli BUILDX_CONFIG=$ENGINE_DIR/cli/buildx
  export ENGINE_BUILDX=$engine__home/bin/docker-buildx
  unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION BUILDX_BUILDER
  [[ $PATH == "$engine__home/bin:"* ]] || export PATH=$engine__home/bin:$PATH
}

# What runs inside the namespaces: all of / becomes read-only but for ENGINE_DIR;
# /run is emptied, as dockerd would use the machine's containerd if it saw its socket.
# shellcheck disable=SC2016 # for the inner shell
engine__inside='
set -e
mount -n --bind "$1" "$1"
mount -n -o remount,bind,ro /
mount -n -t tmpfs tmpfs /run
ip link set lo up
shift
exec "$@"'

# setsid: a terminal's Ctrl-C is for the caller alone, which then calls engine_stop.
# setpriv and --kill-child: unshare dies with the calling shell, and with it all inside.
# env -i: neither the caller's proxies nor its Docker settings have a say in dockerd; GOGC has.
# --cgroup-parent: a name by which engine_stop finds the engine's cgroups.
engine__launch() {
  local dir=$ENGINE_DIR
  setsid setpriv --pdeathsig KILL unshare --net --mount --mount-proc --pid --fork --kill-child \
    env -i PATH="$PATH:/usr/sbin:/sbin" HOME="$dir/home" TMPDIR="$dir/tmp" ${GOGC:+GOGC="$GOGC"} \
    sh -c "$engine__inside" sh "$dir" \
    dockerd --config-file "$dir/daemon.json" --host "$DOCKER_HOST" --group root \
    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
    --bip 172.17.0.1/16 --ip6tables=false --userland-proxy=false \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${dir##*/}" \
    --feature "containerd-snapshotter=$1" </dev/null >"$dir/dockerd.log" 2>&1 &
  engine__pid=$!
  export ENGINE_PID=$engine__pid
}

engine__await() {
  local deadline=$((SECONDS + 60)) used=false said=0
  until engine__ask; do
    # On a busy machine it may take long, but it tells in its log what it does.
    if (($(stat -c %s "$ENGINE_DIR/dockerd.log") > said)); then
      said=$(stat -c %s "$ENGINE_DIR/dockerd.log")
      deadline=$((SECONDS + 60))
    fi
    if ! kill -0 "$engine__pid" 2>/dev/null || ((SECONDS > deadline)); then
      engine__say 'dockerd does not answer; the end of its log:'
      tail -n 40 "$ENGINE_DIR/dockerd.log" >&2
      return 1
    fi
    sleep 0.05
  done
  # The default store differs between versions: make sure we have what was asked for.
  ! grep -q io.containerd.snapshotter "$ENGINE_DIR/store" || used=true
  [[ $used == "$1" ]] || { engine__say 'dockerd uses the other image store'; return 1; }
}

# engine_enter COMMAND…: run the command in the engine's network, and with the files of the machine.
engine_enter() { nsenter --net="/proc/$ENGINE_PID/ns/net" "$@"; }

# In the background, as bash forgets a Ctrl-C that a command in the foreground has handled.
engine__ask() {
  timeout 10 docker info --format '{{json .DriverStatus}}' >"$ENGINE_DIR/store" 2>/dev/null &
  wait "$!"
}

# engine_stop: end the engine of this shell, if any, and remove every trace of it.
# Its state is thrown away, so it is given no time to put that in order.
engine_stop() {
  [[ ${engine__owner:-} == "$BASHPID" ]] || return 0
  engine__kill 2>/dev/null
  find /sys/fs/cgroup -depth -type d -path "*/${engine__dir##*/}*" -exec rmdir {} + || true
  rm -rf --one-file-system "$engine__dir"
  engine__owner=
}

# unshare's child is the first process of the namespace, and unshare returns when
# all processes in there have ended. (It has no child yet when interrupted early.)
engine__kill() {
  # If dockerd ended by itself, its number may be another process's by now.
  if (($(ps -o ppid= -p "${engine__pid:-0}" || echo 0) == BASHPID)); then
    kill -KILL "$(pgrep -P "$engine__pid")" || kill -KILL "$engine__pid" || true
    wait "$engine__pid" || true
  fi
  engine__pid=
}
