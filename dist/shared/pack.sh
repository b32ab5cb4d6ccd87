#!/bin/sh
# Packs mounts. An argument has fields with colons between them: the mount's index and the
# compression level. If a delta may be packed, the argument has two more fields: the maximum of its
# bytes, and the token of the snapshot.

# shellcheck source=src/builder/in-builder/common.sh
. "${0%/*}/common.sh"

# pack CREATE OPTION...: packs the mount. Sets files, bytes, sockets (the number that tar has left
# out) and missing_links (whether a file is packed, but not all of its hard links).
pack() {
  # Tar lists the packed files on standard output. The name of a directory ends with a slash.
  files=$({
    "$@" --sparse -v --totals -C "$mount" . 2>"$index.log"
    echo $? >"$index.status"
  } | grep -c -v '/$')
  # If the disk is full, both files may be empty, and the archive may be incomplete.
  status=
  bytes=
  sockets=0
  missing_links=false
  read -r status <"$index.status"
  while read -r line; do
    case $line in
      'Total bytes written: '*)
        line=${line#Total bytes written: }
        bytes=${line%% *}
        ;;
      *': socket ignored') sockets=$((sockets + 1)) ;;
      *': Missing links to '*) missing_links=true ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$index.log"
  rm -f -- "$index.status" "$index.log"
  [ "$status" = 0 ] && [ -n "$bytes" ]
}

# pack_straight CREATE OPTION...: packs right into a connection to the step, if there is one. Sets
# sha256, or detour. Tar takes what carries the archive for a compressor, and the digest of what was
# sent for the archive.
pack_straight() {
  [ -n "$at" ] || return
  pack "$@" -I "bash ${0%/*}/stream.sh carry pack $plan 0 $at $compressor" -f "$index.sha256" &&
    read -r sha256 <"$index.sha256" || detour='cut'
  rm -f -- "$index.sha256"
  [ -z "$detour" ]
}

# has_snapshot TOKEN: whether there is a snapshot with this token, and the clock was not set since
has_snapshot() {
  [ -n "$1" ] && [ -f "$snapshot/state" ] || return
  known=
  boot=
  unchanged=
  { read -r known; read -r boot; read -r unchanged; } <"$snapshot/state"
  # Tar will change the snapshot. If this script is killed and run again, the snapshot must not
  # count any more.
  rm -f -- "$snapshot/state" || return
  [ "$known" = "$1" ] && [ -n "$boot" ] && [ "$boot" = "$(boot_time)" ]
}

# pack_changes ALLOWED: packs a delta, unless it has more bytes than ALLOWED. Sets result, or
# obstacle if it fails.
pack_changes() {
  obstacle=tar
  # Each run of tar gets a copy, because tar changes the snapshot that it reads. If the archive goes
  # to /dev/null, tar does not read the files.
  for use in count compare straight; do
    cp -- "$snapshot/snapshot" "$snapshot/$use" || return
  done
  pack create_since "$snapshot/count" --check-links -f /dev/null || return
  if [ "$files" = 0 ] && [ "$unchanged" = "$(no_changes "$snapshot/compare" /dev/null)" ]; then
    result=unchanged
    return
  fi
  result=changed
  [ "$bytes" -le "$1" ] || {
    obstacle=size
    return 1
  }
  ! $missing_links && {
    pack_straight create_since "$snapshot/straight" ||
      pack create_since "$snapshot/snapshot" -I "$compressor" -f "$archive"
  }
}

# work INDEX LEVEL [ALLOWED TOKEN]
work() {
  level=$2 allowed=${3-} token=${4-}
  prepare "$1"
  ! untouched || report empty
  if command -v zstd >/dev/null; then
    compression=zstd archive=$index.tar.zst compressor="zstd -q -T0 -$level"
  elif command -v gzip >/dev/null; then
    [ "$level" -le 9 ] || level=9
    compression=gzip archive=$index.tar.gz compressor="gzip -$level"
  else
    report unusable ',"missing":"zstd or gzip"'
  fi
  sha256=
  find_step pack
  obstacle=${token:+snapshot}
  if has_snapshot "$token" && pack_changes "$allowed"; then
    obstacle=
  elif pack_straight create || pack create -I "$compressor" -f "$archive"; then
    result=packed
  else
    result=failed
    rm -f -- "$archive"
  fi
  # A snapshot can be used only once.
  [ ! -d "$snapshot" ] || rm -f -- "$snapshot"/*
  case $result in
    packed | changed)
      [ "$sockets" != 0 ] || sockets=
      report "$result" ",\"compression\":\"$compression\",\"files\":$files,\"bytes\":$bytes${sockets:+,\"sockets\":$sockets}${obstacle:+,\"obstacle\":\"$obstacle\"}${sha256:+,\"sha256\":\"$sha256\"}${detour:+,\"detour\":\"$detour\"}"
      ;;
    *) report "$result" ;;
  esac
}

for_each_mount "$@"
