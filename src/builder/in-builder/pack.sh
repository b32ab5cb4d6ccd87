#!/bin/sh
# Packs mounts. An argument is a mount's index and the level to compress with; if just its changes may be
# packed, also how many bytes they may have, and what their snapshot is known by; with colons between.

# shellcheck source=src/builder/in-builder/common.sh
. "${0%/*}/common.sh"

# pack CREATE OPTION...: sets files and bytes, and whether hard links of what is packed are not
pack() {
  # tar lists what it packs on standard output; a directory ends with a slash
  files=$({
    "$@" --sparse -v --totals -C "$mount" . 2>"$index.log"
    echo $? >"$index.status"
  } | grep -c -v '/$')
  # On a full disk both files may be empty, and the archive cut off.
  status=
  bytes=
  missing_links=false
  read -r status <"$index.status"
  while read -r line; do
    case $line in
      'Total bytes written: '*)
        line=${line#Total bytes written: }
        bytes=${line%% *}
        ;;
      *': Missing links to '*) missing_links=true ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$index.log"
  rm -f -- "$index.status" "$index.log"
  [ "$status" = 0 ] && [ -n "$bytes" ]
}

# pack_straight CREATE OPTION...: packs right into a connection to the step, if there is one; sets sha256,
# or detour. Tar takes what carries it for a compressor, and the digest of what was sent for the archive.
pack_straight() {
  [ -n "$at" ] || return
  pack "$@" -I "bash ${0%/*}/stream.sh carry pack $plan 0 $at $compressor" -f "$index.sha256" &&
    read -r sha256 <"$index.sha256" || detour='cut'
  rm -f -- "$index.sha256"
  [ -z "$detour" ]
}

# has_snapshot TOKEN: one that inject has taken, and the clock has not been set since
has_snapshot() {
  [ -n "$1" ] && [ -f "$snapshot/state" ] || return
  known=
  boot=
  unchanged=
  { read -r known; read -r boot; read -r unchanged; } <"$snapshot/state"
  # Tar is about to make it one of another time, and all of this may be killed and run again.
  rm -f -- "$snapshot/state" || return
  [ "$known" = "$1" ] && [ -n "$boot" ] && [ "$boot" = "$(boot_time)" ]
}

# pack_changes ALLOWED: packs what has changed since the snapshot, unless that is more bytes; sets result,
# or obstacle
pack_changes() {
  obstacle=tar
  # Tar writes to the snapshots that it reads. It does not read what goes to /dev/null.
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
  # It is of no use but once.
  [ ! -d "$snapshot" ] || rm -f -- "$snapshot"/*
  case $result in
    packed | changed)
      report "$result" ",\"compression\":\"$compression\",\"files\":$files,\"bytes\":$bytes${obstacle:+,\"obstacle\":\"$obstacle\"}${sha256:+,\"sha256\":\"$sha256\"}${detour:+,\"detour\":\"$detour\"}"
      ;;
    *) report "$result" ;;
  esac
}

for_each_mount "$@"
