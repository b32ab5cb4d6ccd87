#!/bin/sh
# Unpacks archives into mounts. An argument is a mount's index and the number of bytes that its archives
# unpack to; if a snapshot is to be taken, also what that is known by; with colons between.

# shellcheck source=src/builder/in-builder/common.sh
. "${0%/*}/common.sh"

# free: the bytes that the mount's disk has free, or nothing
free() {
  command -v df >/dev/null || return
  df -P -k "$mount" | {
    # shellcheck disable=SC2034 # what comes before and after it on the second line
    { read -r header; read -r device blocks used available rest; }
    case $available in
      '' | *[!0-9]*) ;;
      *) echo "$((available * 1024))" ;;
    esac
  }
}

# take_snapshot TOKEN: what comes after it counts as a change
take_snapshot() {
  rm -f -- "$snapshot"/*
  # These are incrementalPrograms of scripts.ts.
  for program in cp sed sha256sum tr; do
    command -v "$program" >/dev/null || return
  done
  tar -c -g "$snapshot/new" -f /dev/null -C "$mount" . || return
  unchanged=$(no_changes "$snapshot/new" "$snapshot/listing")
  # When it unpacks changes, tar takes no extended attribute from a directory that is there already.
  ! grep '^  x: ' "$snapshot/listing" | grep -q -v -e ' security\.selinux$' -e ' system\.posix_acl_' ||
    return
  # Tar finds by device and inode that a directory has another name, and cannot always give it that when
  # it unpacks (what had the name before is in the way). On a device that there is none of, it finds
  # nothing, and packs the directory as a new one. The device is the sixth of the fields.
  device=$(sed -z -n 6p "$snapshot/new" | tr -d '\0')
  [ -n "$device" ] && sed -z "s/^$device$/0/" "$snapshot/new" >"$snapshot/snapshot" &&
    rm -f -- "$snapshot/new" "$snapshot/listing" &&
    printf '%s\n' "$1" "$(boot_time)" "$unchanged" >"$snapshot/state"
}

# walk DIR COMMAND: runs COMMAND ENTRY for all that is below DIR, a directory before what is in it, until
# one fails. (One function alone, as dash lets functions call each other to a depth of 1000.)
walk() {
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    # What matches nothing is left by the shell as it stands: it is neither a link nor a directory.
    "$2" "$entry" || return
    [ ! -d "$entry" ] || [ -L "$entry" ] || walk "$entry" "$2" || return
  done
}

# choose_compressor ARCHIVE: sets compressor
choose_compressor() {
  case $1 in
    *.zst) compressor=zstd ;;
    *) compressor=gzip ;;
  esac
}

# unpack ARCHIVE DIRECTORY OPTION...
unpack() {
  archive=$1
  directory=$2
  shift 2
  choose_compressor "$archive"
  extract "$@" -I "$compressor" -f "$archive" -C "$directory"
}

# bar_links DELTA: sees to it that what unpacks it goes through no link. Tar follows none that it has
# made in the same run, but those of the archives before. Where the delta's own members lead, is seen
# where there is nothing else: what are directories there are no links in the mount. (The names of what
# is gone are not looked at there. Deltas of ours rename nothing.)
bar_links() {
  choose_compressor "$1"
  ! tar -t -g /dev/null -vvv -I "$compressor" -f "$1" | grep -q '^[RTX] ' &&
    mkdir "$reserved/delta" &&
    unpack "$1" "$reserved/delta" &&
    walk "$reserved/delta" remove_link_like &&
    rm -rf -- "$reserved/delta"
}

# remove_link_like ENTRY: if it is a directory of the delta, removes a link that has its name in the mount
remove_link_like() {
  if [ ! -d "$1" ] || [ -L "$1" ]; then return; fi
  link=$reserved/files${1#"$reserved/delta"}
  [ ! -L "$link" ] || rm -f -- "$link"
}

is_no_link() {
  [ ! -L "$1" ]
}

# lists_link DELTA: whether there is one in it; a line begins with the kind of what it tells of
lists_link() {
  choose_compressor "$1"
  tar -t -vv -I "$compressor" -f "$1" | grep -q '^l'
}

# unpack_all: all of the mount's content first, then what has changed since, which names what is gone
unpack_all() {
  set -- /archives/"$index".*
  unpack "$1" "$reserved/files" || return
  shift
  links=false
  [ $# -eq 0 ] || walk "$reserved/files" is_no_link || links=true
  for delta; do
    ! $links || bar_links "$delta" || return
    unpack "$delta" "$reserved/files" -g /dev/null || return
    $links || ! lists_link "$delta" || links=true
  done
}

# work INDEX NEEDED [TOKEN]
work() {
  needed=$2 token=${3-}
  prepare "$1"
  for archive in /archives/"$index".*; do
    choose_compressor "$archive"
    command -v "$compressor" >/dev/null || report unusable ",\"missing\":\"$compressor\""
  done
  untouched || report warm
  available=$(free)
  [ "${available:-$needed}" -ge "$needed" ] || report full ",\"available\":$available"

  # No archive of ours holds the reserved names, which would stand in the way of settling.
  mkdir "$reserved" "$reserved/files" &&
    unpack_all &&
    rm -rf -- "$reserved/files/$reserved_name" "$reserved/files/$reserved_name.complete" &&
    create --no-recursion -f "$reserved/root.tar" -C "$reserved/files" . &&
    mv -- "$reserved" "$complete" &&
    settle && {
      [ -z "$token" ] || take_snapshot "$token"
      report unpacked
    }
  # Nothing of the mount has changed but what can be settled later.
  rm -rf -- "$reserved"
  report failed
}

for_each_mount "$@"
