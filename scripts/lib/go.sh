# shellcheck shell=bash
# Go for builds that cannot pull its image. Sourced; needs engine.sh, and root on a Debian system.

# install_go_image DIR: the files of an image like golang:1, as far as "go build" needs them, made of
# Debian's packages and the machine's own sh; nothing to do the second time. The packages are of the
# same suite as the engine's: stable releases may have a Go of before 1.20, which comes with its
# standard library compiled and so leaves nothing to cache.
# (A subshell, so that its trap removes the work directory however it ends.)
install_go_image() (
  [ ! -d "$1" ] || exit 0
  mkdir -p "$(dirname "$1")"
  work=$(mktemp -d "$1.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  go__download "$work"
  go__unpack "$work"
  go__add_system "$work/image"
  mv -T "$work/image" "$1"
)

# golang-go names the Go that is current in the suite.
go__download() {
  local go
  [ -n "$(engine__archives)" ] || apt-get update -qq || true
  # shellcheck disable=SC2034 # what engine__download gets
  engine__packages=(golang-go)
  engine__download "$1"
  go=$(dpkg-deb --field "$1"/debs/golang-go_*.deb Depends | grep -o '^golang-[0-9.]*')
  (cd "$1/debs" && apt-get -c "$1/apt.conf" download -qq "$go-go" "$go-src")
}

# Debian has the sources in /usr/share, with links to them; golang:1 has all in one place.
go__unpack() {
  local deb go=$1/image/usr/local/go
  for deb in "$1"/debs/golang-[0-9]*.deb; do dpkg -x "$deb" "$1/root"; done
  mkdir -p "$1"/image/{tmp,usr/local}
  chmod 1777 "$1/image/tmp"
  mv "$1"/root/usr/lib/go-* "$go"
  find "$go" -type l -delete
  cp -a "$1"/root/usr/share/go-*/. "$go/"
  # No build needs these, and they are half of what would be sent to the builder.
  rm -rf "$go"/{api,misc,test,src/cmd}
  find "$go/src" \( -name testdata -o -name '*_test.go' \) -prune -exec rm -rf {} +
}

# A shell for RUN, and the home directory of its user.
go__add_system() {
  local libraries
  mkdir "$1/etc"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  mapfile -t libraries < <(ldd /bin/sh | grep -o '/[^ ]*')
  cp -L --parents /bin/sh "${libraries[@]}" "$1"
}
