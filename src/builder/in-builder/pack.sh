#!/bin/sh
# Packs mounts. An argument has fields with colons between them: the mount's index and the
# compression level. If a delta may be packed, the argument has two more fields: the maximum of its
# bytes, and the token of the snapshot. If some files are not to be packed, the script of sed
# exclude-INDEX is beside this one.

# shellcheck source=src/builder/in-builder/common.sh
. "${0%/*}/common.sh"

# list_excluded SCRIPT: writes the paths of what is not packed to a file, and patterns of tar that
# match just these to another
list_excluded() {
  # The same list as excludePrograms in scripts.ts.
  for program in find sed tr; do
    command -v "$program" >/dev/null || report unusable ",\"missing\":\"$program\""
  done
  (cd -- "$mount" && find . -depth -print0) | sed -z -n -E -f "$1" >"$index.excluded"
  # Tar reads one pattern from each line, without white space at the end.
  sed -z 's/[\\*?[]/\\&/g; s/\n/[!\x01-\x09\x0b-\xff]/g; s/[ \t\r\v\f]$/[&]/' "$index.excluded" |
    tr '\0' '\n' >"$index.exclude"
  # The last line says that nothing has failed.
  grep -q -x END "$index.exclude"
}

# hides_saved: whether the snapshot has a directory that is not packed any more: there is nothing in
# it now for which there was an exception. In a delta, tar can only say that it stays as it was.
hides_saved() {
  tr '\n\0' '\001\n' <"$index.excluded" >"$index.exclude-lines"
  tr '\n\0' '\001\n' <"$snapshot/snapshot" | grep -q -x -F -f "$index.exclude-lines"
}

# pack CREATE OPTION...: packs the mount. Sets files, bytes, sockets (the number that tar has left
# out) and missing_links (whether a file is packed, but not all of its hard links).
pack() {
  # Tar lists the packed files on standard output. The name of a directory ends with a slash.
  # shellcheck disable=SC2086 # the options are split
  files=$({
    "$@" $exclude --sparse -v --totals -C "$mount" . 2>"$index.log"
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

# reaches_step: a mount in which nothing has changed does not come to ask this
reaches_step() {
  $sought || find_step pack
  sought=true
  [ -n "$at" ]
}

# pack_straight CREATE OPTION...: packs right into a connection to the step, if there is one. Sets
# sha256, or detour. Tar takes what carries the archive for a compressor, and the digest of what was
# sent for the archive.
pack_straight() {
  reaches_step || return
  detour=
  pack "$@" -I "bash ${0%/*}/stream.sh carry pack $plan 0 $at $compressor" -f "$index.sha256" &&
    read -r sha256 <"$index.sha256" || detour='cut'
  rm -f -- "$index.sha256"
  [ -z "$detour" ]
}

# stays: whether the archives stay in the builder, which pushes them later. The secret is the permit to
# pack: the build that pushes has none, so that it can only take what this one has left.
stays() {
  [ -e /permit ]
}

# measure_archive: sets compressed (its bytes), because nobody else sees the archive
measure_archive() {
  # Of a file, tar lists the mode, the owner, the size and more. It does not read the file.
  # shellcheck disable=SC2046 # the splitting is wanted
  set -- $(tar -c -f /dev/null -vv --numeric-owner "$archive")
  compressed=${3-}
  [ -n "$compressed" ]
}

# has_snapshot TOKEN: whether there is a snapshot with this token, and the clock was not set since
has_snapshot() {
  [ -n "$1" ] && [ -f "$snapshot/state" ] || return
  known=
  boot=
  unchanged=
  listed=
  { read -r known; read -r boot; read -r unchanged; read -r listed; } <"$snapshot/state"
  # Tar will change the snapshot. If this script is killed and run again, the snapshot must not
  # count any more.
  rm -f -- "$snapshot/state" || return
  [ "$known" = "$1" ] && [ -n "$boot" ] && [ "$boot" = "$(boot_time)" ]
}

# is_unchanged: whether the mount has the same files as in the snapshot
is_unchanged() {
  if [ -n "$exclude" ]; then
    # shellcheck disable=SC2086 # the options are split
    [ -n "$listed" ] && [ "$listed" = "$(list_all $exclude)" ]
  else
    [ "$unchanged" = "$(no_changes "$snapshot/compare" /dev/null)" ]
  fi
}

# pack_changes ALLOWED: packs a delta, unless it has more bytes than ALLOWED. Sets result, or
# obstacle if it fails.
pack_changes() {
  obstacle=tar
  [ -z "$exclude" ] || ! hides_saved || return
  # Each run of tar gets a copy, because tar changes the snapshot that it reads. If the archive goes
  # to /dev/null, tar does not read the files.
  for use in count compare; do
    cp -- "$snapshot/snapshot" "$snapshot/$use" || return
  done
  pack create_since "$snapshot/count" --check-links -f /dev/null || return
  if [ "$files" = 0 ] && is_unchanged; then
    result=unchanged
    return
  fi
  result=changed
  [ "$bytes" -le "$1" ] || {
    obstacle=size
    return 1
  }
  ! $missing_links || return
  if reaches_step; then
    cp -- "$snapshot/snapshot" "$snapshot/straight" || return
    ! pack_straight create_since "$snapshot/straight" || return 0
  fi
  pack create_since "$snapshot/snapshot" -I "$compressor" -f "$archive"
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
  sha256='' compressed='' at='' detour='' sought=false
  obstacle=${token:+snapshot}
  exclude=
  if [ -f "${0%/*}/exclude-$index" ]; then
    list_excluded "${0%/*}/exclude-$index" || report failed
    # Each of these options is for what follows it. With wildcards in the name of the mount's root,
    # tar would leave all directories out of a delta.
    exclude="--anchored --wildcards --no-wildcards-match-slash -X $index.exclude --no-wildcards"
  fi
  if has_snapshot "$token" && pack_changes "$allowed"; then
    obstacle=
  elif pack_straight create || pack create -I "$compressor" -f "$archive"; then
    result=packed
  else
    result=failed
  fi
  case $result in
    packed | changed) ! stays || measure_archive || result=failed ;;
  esac
  [ "$result" != failed ] || rm -f -- "$archive"
  rm -f -- "$index".exclude*
  # A snapshot can be used only once.
  [ ! -d "$snapshot" ] || rm -f -- "$snapshot"/*
  case $result in
    packed | changed)
      [ "$sockets" != 0 ] || sockets=
      report "$result" ",\"compression\":\"$compression\",\"files\":$files,\"bytes\":$bytes${sockets:+,\"sockets\":$sockets}${obstacle:+,\"obstacle\":\"$obstacle\"}${sha256:+,\"sha256\":\"$sha256\"}${compressed:+,\"compressedBytes\":$compressed}${detour:+,\"detour\":\"$detour\"}"
      ;;
    *) report "$result" ;;
  esac
}

for_each_mount "$@"
