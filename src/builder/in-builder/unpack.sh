#!/bin/sh
# Unpacks archives into mounts. An argument has fields with colons between them: the mount's index
# and the number of bytes that its archives unpack to. If a snapshot is to be taken, the snapshot's
# token follows. A mount that holds other files is left as it is, unless the fourth field is `add`:
# then what is missing there is added. If some files were not packed, there is a fifth field.

# shellcheck source=src/builder/in-builder/common.sh
. "${0%/*}/common.sh"

# free: prints the free bytes of the mount's disk, or nothing if they are not known
free() {
  command -v df >/dev/null || return
  df -P -k "$mount" | {
    # shellcheck disable=SC2034 # only one field of the second line is used
    { read -r header; read -r device blocks used available rest; }
    case $available in
      '' | *[!0-9]*) ;;
      *) echo "$((available * 1024))" ;;
    esac
  }
}

# take_snapshot TOKEN [PARTIAL]: everything after it counts as a change
take_snapshot() {
  rm -f -- "$snapshot"/*
  # The same list as incrementalPrograms in scripts.ts.
  for program in cp sed sha256sum tr; do
    command -v "$program" >/dev/null || return
  done
  tar -c -g "$snapshot/new" -f /dev/null -C "$mount" . || return
  unchanged=$(no_changes "$snapshot/new" "$snapshot/listing")
  # When tar unpacks a delta, it does not remove an extended attribute from a directory that already
  # exists. So if a directory has extended attributes other than these, there is no usable snapshot.
  ! grep '^  x: ' "$snapshot/listing" | grep -q -v -e ' security\.selinux$' -e ' system\.posix_acl_' ||
    return
  # Tar recognizes a renamed directory by its device and inode. When it unpacks, it cannot always
  # repeat the rename, because whatever had the new name before is in the way. So the snapshot gets
  # a device that does not exist. Then tar does not recognize a renamed directory and packs it as a
  # new one. The device is the sixth field.
  device=$(sed -z -n 6p "$snapshot/new" | tr -d '\0')
  # shellcheck disable=SC2119 # it needs no options here
  listed=${2:+$(list_all)}
  [ -n "$device" ] && sed -z "s/^$device$/0/" "$snapshot/new" >"$snapshot/snapshot" &&
    rm -f -- "$snapshot/new" "$snapshot/listing" &&
    printf '%s\n' "$1" "$(boot_time)" "$unchanged" "$listed" >"$snapshot/state"
}

# walk DIR COMMAND: runs COMMAND PATH for all paths below DIR until one fails. A directory comes
# before its content. (This is only one function, because dash limits nested calls to a depth of
# 1000.)
walk() {
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    # If a pattern matches nothing, the shell leaves the pattern itself. That is neither a link nor
    # a directory.
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
  # An archive that comes straight from the step has only its name here.
  if [ -n "$at" ] && [ ! -s "$archive" ]; then
    compressor="bash ${0%/*}/stream.sh carry unpack $plan 0 $at $reserved/unproven $compressor"
  fi
  extract "$@" -I "$compressor" -f "$archive" -C "$directory"
}

# are_here: whether the archives themselves are here, and not only their names
are_here() {
  for archive in /archives/"$index".*; do
    [ -s "$archive" ] || return
  done
}

# fetch DELTA...: puts deltas that come straight from the step into files, because each is read
# several times
fetch() {
  place=0
  mkdir "$reserved/fetched" || return
  for delta; do
    place=$((place + 1))
    # shellcheck disable=SC2086 # the address and the port are two words
    bash "${0%/*}/stream.sh" carry unpack "$plan" "$place" $at "$reserved/unproven" tee \
      >"$reserved/fetched/${delta##*/}" || return
  done
}

# bar_links DELTA: removes the links that tar would follow when it unpacks the delta. Tar follows no
# link that it has made in the same run, but it follows links from earlier archives. So the delta is
# first unpacked alone, into an empty directory. If a path is a directory there, it must not be a
# link in the mount. (The names of deleted files are not checked there. Our deltas rename nothing,
# so a delta that renames is refused.)
bar_links() {
  choose_compressor "$1"
  ! tar -t -g /dev/null -vvv -I "$compressor" -f "$1" | grep -q '^[RTX] ' &&
    mkdir "$reserved/delta" &&
    unpack "$1" "$reserved/delta" &&
    walk "$reserved/delta" remove_link_like &&
    rm -rf -- "$reserved/delta"
}

# remove_link_like PATH: if this path of the delta is a directory, removes a link with the same name
# from the unpacked files
remove_link_like() {
  if [ ! -d "$1" ] || [ -L "$1" ]; then return; fi
  link=$reserved/files${1#"$reserved/delta"}
  [ ! -L "$link" ] || rm -f -- "$link"
}

is_no_link() {
  [ ! -L "$1" ]
}

# lists_link DELTA: whether the delta holds a symbolic link. Each line of the list begins with the
# file type.
lists_link() {
  choose_compressor "$1"
  tar -t -vv -I "$compressor" -f "$1" | grep -q '^l'
}

# unpack_all: unpacks the archive with all content first, then the deltas, which also name the
# deleted files
unpack_all() {
  set -- /archives/"$index".*
  unpack "$1" "$reserved/files" || return
  shift
  [ -z "$at" ] || [ $# -eq 0 ] || {
    fetch "$@" || return
    set -- "$reserved/fetched/$index".*
  }
  links=false
  [ $# -eq 0 ] || walk "$reserved/files" is_no_link || links=true
  for delta; do
    ! $links || bar_links "$delta" || return
    unpack "$delta" "$reserved/files" -g /dev/null || return
    $links || ! lists_link "$delta" || links=true
  done
}

# work INDEX NEEDED [TOKEN [add [PARTIAL]]]
work() {
  needed=$2 token=${3-} partial=${5-} adds=false result=unpacked
  prepare "$1"
  for archive in /archives/"$index".*; do
    choose_compressor "$archive"
    command -v "$compressor" >/dev/null || report unusable ",\"missing\":\"$compressor\""
  done
  untouched || {
    [ "${4-}" = add ] || report warm
    # No later delta could build on these archives alone, so there is no snapshot.
    adds=true result=added token=
  }
  available=$(free)
  [ "${available:-$needed}" -ge "$needed" ] || report full ",\"available\":$available"

  find_step unpack
  [ -n "$at" ] || [ -n "$detour" ] || are_here || detour=unreachable
  [ -z "$detour" ] || report detour ",\"detour\":\"$detour\""
  # The reserved names would be in the way of settle. No archive of ours holds them.
  keep_root &&
    mkdir "$reserved" "$reserved/files" "$reserved/unproven" &&
    unpack_all &&
    rm -rf -- "$reserved/unproven" "$reserved/fetched" \
      "$reserved/files/$reserved_name" "$reserved/files/$reserved_name.complete" &&
    describe_root &&
    mv -- "$reserved" "$complete" &&
    settle && {
      [ -z "$token" ] || take_snapshot "$token" "$partial"
      report "$result"
    }
  # The mount is unchanged, except for complete files, which a later settle can put into place.
  rm -rf -- "$reserved"
  [ -z "$at" ] || [ -d "$complete" ] || report detour ',"detour":"cut"'
  ! $adds || report unadded
  report failed
}

# keep_root: keeps the attributes of the root before anything is put there, if it is to have them
keep_root() {
  ! $adds || create --no-recursion -f "$index.kept.tar" -C "$mount" .
}

# describe_root: puts what settle needs to know beside the files
describe_root() {
  if $adds; then
    mv -- "$index.kept.tar" "$reserved/root.tar" && : >"$reserved/add"
  else
    create --no-recursion -f "$reserved/root.tar" -C "$reserved/files" .
  fi
}

for_each_mount "$@"
