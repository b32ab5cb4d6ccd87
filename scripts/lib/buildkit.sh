# shellcheck shell=bash
# The image of BuildKit for docker-container builders on a private engine, which can pull none.
# Sourced; needs engine.sh.
#
#     buildkit_install .cache/buildkit    # get its files; nothing to do the second time
#     buildkit_load .cache/buildkit       # make the image on the engine that docker reaches
#
# If the machine's own Docker has the image or can pull it, that one is used. Otherwise buildkitd and
# buildctl are compiled from the sources that Debian packages for its Docker, which takes about
# three minutes. For that it installs packages.

buildkit_image=moby/buildkit:buildx-stable-1

# Debian's names for the sources of BuildKit, and for the source package whose vendor directory has
# what Debian does not package.
buildkit__sources=golang-github-docker-docker-dev
buildkit__source_package=docker.io

# Dependencies of dependencies, more than half of all that would be unpacked, that it never imports.
buildkit__unused='golang-(google-(api|cloud.*)|gonum.*|k8s-(api|apiserver|client-go|kube-openapi)|mongodb.*|'
buildkit__unused+='github-(apache-arrow-go|aws-.*|cloudflare-circl|envoyproxy-.*|go-playground-.*|mmcloughlin-avo|nats-io-.*|pierrec-lz4))-dev'

# buildkit_possible DIR: is the image there, or can it be tried to get it?
buildkit_possible() {
  buildkit__is_complete "$1" || buildkit__can_pull || { engine__is_debian && ((EUID == 0)); }
}

# buildkit_install DIR: get the image's files and print its version.
buildkit_install() {
  mkdir -p "$1" || return
  (flock 9 && buildkit__install_missing "$1") 9>"$1/.lock" || return
  basename "$(buildkit__directory "$1")"
}

# buildkit_load DIR: make the image on the engine that docker reaches.
buildkit_load() {
  local directory
  directory=$(buildkit__directory "$1")
  if [[ -e $directory/image.tar ]]; then
    docker load --quiet --input "$directory/image.tar" >/dev/null
  else
    tar -C "$directory" -c . | docker import --change 'ENTRYPOINT ["buildkitd"]' \
      --change 'ENV PATH=/usr/bin' --change 'VOLUME /var/lib/buildkit' - "$buildkit_image" >/dev/null
  fi
}

# (A directory appears under its version when it is complete.)
buildkit__directory() { find "$1" -mindepth 1 -maxdepth 1 -name 'v*' | sort -V | tail -n 1; }

buildkit__is_complete() { [[ -d $1 && -n $(buildkit__directory "$1") ]]; }

# (A subshell, so that its trap removes the work directory however it ends.)
buildkit__install_missing() (
  ! buildkit__is_complete "$1" || exit 0
  work=$(mktemp -d "$(cd "$1" && pwd)/work.XXXXXX") || exit
  trap 'rm -rf "$work"' EXIT
  if buildkit__can_pull; then
    buildkit__save "$work" || exit
  elif engine__is_debian && ((EUID == 0)); then
    # runc, which becomes a part of the image
    engine__has_tools || engine__install_tools || exit
    buildkit__get_sources "$work" && buildkit__compile "$work" && buildkit__assemble "$work" || exit
  else
    engine__say "$buildkit_image is not here, cannot be pulled, and can be compiled as root on Debian only"
    exit 1
  fi
  mv -T "$work/image" "$1/$(<"$work/version")"
)

# --- the image that the machine's own Docker has ---

buildkit__can_pull() {
  docker version >/dev/null 2>&1 || return 1
  docker image inspect "$buildkit_image" >/dev/null 2>&1 || docker pull --quiet "$buildkit_image" >/dev/null 2>&1
}

buildkit__save() {
  mkdir "$1/image" && docker save --output "$1/image/image.tar" "$buildkit_image" || return
  docker run --rm "$buildkit_image" --version | awk '{ print $3 }' >"$1/version"
}

# --- the image that is compiled ---

# buildkit__get_sources WORK: all that buildkit__compile needs
buildkit__get_sources() {
  buildkit__download "$1" && buildkit__unpack "$1" && buildkit__patch "$1"
}

# The sources and all that they depend on, the current Go, and the source package.
buildkit__download() {
  local work=$1 go names
  [[ -n $(engine__archives) ]] || apt-get update -qq >&2 || true
  # shellcheck disable=SC2034 # what engine__download gets
  engine__packages=(golang-go "$buildkit__sources")
  engine__download "$work" || return
  go=$(dpkg-deb --field "$work"/debs/golang-go_*.deb Depends | grep -o '^golang-[0-9.]*')
  engine__add_sources "$work" || return
  names=$(buildkit__dependencies "$work") || return
  # shellcheck disable=SC2086 # one word, one package
  (cd "$work/debs" && apt-get -c "$work/apt.conf" download -qq "$go-go" "$go-src" $names >&2) || return
  engine__download_source "$work" "$buildkit__source_package"
  compgen -G "$work/${buildkit__source_package}_*.orig.tar.*" >/dev/null && return
  engine__say "the sources of $buildkit__source_package are not in this machine's Debian sources"
  return 1
}

# What BuildKit imports is among what the packages depend on that Docker is built with.
buildkit__dependencies() {
  local built_with
  built_with=$(apt-cache -c "$1/apt.conf" showsrc --only-source "$buildkit__source_package" |
    sed -n 's/^Build-Depends: //p' | grep -o 'golang-[a-z0-9.+-]*-dev' | sort -u)
  # (A package that exists only by name, provided by others, is put in angle brackets.)
  # shellcheck disable=SC2086 # one word, one package
  apt-cache -c "$1/apt.conf" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$buildkit__sources" $built_with 2>/dev/null |
    grep -E '^golang-[a-z0-9.+-]+-dev$' | grep -vxE "$buildkit__unused" | sort -u
}

buildkit__unpack() {
  local work=$1 deb
  mkdir "$work/root" || return
  for deb in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -C "$work/root" -x --exclude='*_test.go' --exclude=testdata --exclude=resourcemanager || return
    rm "$deb"
  done
  mkdir "$work/source" &&
    tar -C "$work/source" -xf "$(compgen -G "$work/${buildkit__source_package}_*.orig.tar.*")" \
      --wildcards '*/vendor/*' || return
  mkdir "$work/vendor" && mv "$(find "$work/source" -type d -name vendor -prune)" "$work/vendor/src" || return
  sed -n 's/^# github.com\/moby\/buildkit //p' "$work/vendor/src/modules.txt" >"$work/version"
  [[ $(<"$work/version") == v* ]] && return
  engine__say "the vendor directory of $buildkit__source_package does not tell the version of BuildKit"
  return 1
}

buildkit__patch() {
  local buildkit=$1/root/usr/share/gocode/src/github.com/moby/buildkit
  if ! patch --quiet --directory "$buildkit" --strip 1 <"$buildkit__patch_file" >&2; then
    engine__say "$buildkit__patch_file does not fit BuildKit $(<"$1/version")"
    return 1
  fi
  # With such a file, Go finds an import like …/v2 in a package that Debian installs without the v2.
  echo 'module github.com/moby/buildkit' >"$buildkit/go.mod"
}

buildkit__compile() {
  local work=$1 missing
  local -x GOROOT GOPATH GOCACHE=$work/gocache GOTMPDIR=$work GO111MODULE=off GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0
  # A fifth less of the processors' time, which the compiler spends on collecting its garbage.
  local -x GOGC=400
  GOROOT=$(compgen -G "$work/root/usr/lib/go-*")
  GOPATH=$work/root/usr/share/gocode:$work/vendor
  # shellcheck disable=SC2016 # for Go
  missing=$("$GOROOT/bin/go" list -deps -e -f '{{if .Error}}{{.ImportPath}}{{end}}' \
    github.com/moby/buildkit/cmd/{buildkitd,buildctl} | grep . || true)
  if [[ -n $missing ]]; then
    engine__say "what BuildKit is compiled with is in no package of Debian ${engine__suite:?}:" "$missing"
    return 1
  fi
  "$GOROOT/bin/go" build -trimpath -o "$work/bin/" \
    -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$(<"$work/version")" \
    github.com/moby/buildkit/cmd/{buildkitd,buildctl} >&2
}

# What the programs need, and buildx, which copies its configuration to /etc/buildkit.
buildkit__assemble() {
  local work=$1 runc libraries
  runc=$(engine__which runc) || { engine__say 'the machine has no runc'; return 1; }
  mkdir -p "$work"/image/{usr/bin,etc/buildkit,run,tmp,var/lib} && chmod 1777 "$work/image/tmp" || return
  cp -L "$work"/bin/* "$runc" "$work/image/usr/bin/" || return
  mapfile -t libraries < <(ldd "$runc" | grep -o '/[^ ]*')
  cp -L --parents "${libraries[@]}" "$work/image"
}

buildkit__patch_file=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/buildkit.patch
