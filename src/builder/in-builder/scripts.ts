import { archiveExtension, type Compression } from '../../entry/manifest.js';

/**
 * What runs inside the build: POSIX sh around GNU tar and a compressor. A script is called with an
 * argument for each mount that the RUN has. It appends one line of JSON a mount to `report` in its
 * working directory (read by report.ts) and always succeeds, so that trouble with one mount leaves
 * the others alone.
 *
 * Incoming files are unpacked into one reserved directory at the mount's root. When they are
 * complete, the directory is renamed, and from then on they count: their last step is to be renamed
 * into place. So a mount is filled whole or not at all, even where the build is killed (a cancelled
 * RUN gets SIGKILL, no trap would run): the next script removes what is not complete and finishes
 * what is.
 *
 * What is needed to tell later what has changed in a mount goes to a cache mount of our own: a snapshot
 * for GNU tar's incremental format, and a line that says what it belongs to.
 */
export const reservedName = '.buildkit-cache-mounts';

/** Where the pack script puts what it makes. @param index the mount's place in the list */
export function packedFileName(index: number, compression: Compression): string {
  return `${index}.${archiveExtension[compression]}`;
}

/**
 * Where the unpack script looks for an archive.
 *
 * @param index the mount's place in the list
 * @param place the archive's place among those of the mount, from 0
 */
export function restoredFileName(index: number, place: number, compression: Compression): string {
  return `${index}.${String(place).padStart(2, '0')}.${archiveExtension[compression]}`;
}

/** The programs that the scripts call; sh is also what GNU tar starts its compressor with. */
export const requiredPrograms = ['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm'] as const;

/** What it takes to pack just what has changed; sed must be GNU's. */
const incrementalPrograms = ['cp', 'sed', 'sha256sum', 'tr'] as const;

/** Without df, the free space is not looked at before unpacking. */
export const optionalPrograms = ['df', ...incrementalPrograms] as const;

// --posix, xattrs, ACLs and --sparse on both sides: without them nanosecond times, capabilities and
// holes are lost.
const attributes = "--xattrs --xattrs-include='*' --acls --numeric-owner";

// A device may have another number in each build.
const incremental = '--no-check-device --warning=no-new-directory --warning=no-rename-directory';

const preamble = `#!/bin/sh
unset TAR_OPTIONS
LC_ALL=C
export LC_ALL

# report RESULT [MORE_JSON]: writes the line and ends the work on this mount
report() {
  read -r ended rest </proc/uptime
  printf '{"mount":%s,"result":"%s","started":%s,"ended":%s%s}\\n' \\
    "$index" "$1" "$started" "$ended" "\${2-}" >>report
  exit 0
}

# entries DIR COMMAND...: runs COMMAND... ENTRIES... for all that is in DIR, some at a time
entries() (
  dir=$1
  command=$2
  shift $#
  for entry in "$dir"/* "$dir"/.[!.]* "$dir"/..?*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    set -- "$@" "$entry"
    [ $# -lt 256 ] || { "$command" "$@" || exit 1; set --; }
  done
  [ $# -eq 0 ] || "$command" "$@"
)

# untouched: the mount holds nothing, or just what it was created with
untouched() {
  entries "$mount" false ||
    { [ -d "$seed" ] && [ "$(listing "$mount")" = "$(listing "$seed")" ]; }
}

# listing DIR: all below DIR with its attributes; tar does not read what goes to /dev/null
listing() {
  tar -c -f /dev/null -vv --full-time --numeric-owner --sort=name -C "$1" . | grep -v ' \\./$'
}

# prepare INDEX: what comes first for each mount
prepare() {
  index=$1
  mount=/mounts/$index
  seed=/seeds/$index
  reserved=$mount/${reservedName}
  complete=$mount/${reservedName}.complete
  snapshot=/snapshots/$index
  read -r started rest </proc/uptime
  for program in ${requiredPrograms.join(' ')}; do
    command -v "$program" >/dev/null || report unusable ",\\"missing\\":\\"$program\\""
  done
  case $(tar --version 2>&1) in
    *'GNU tar'*) ;;
    *) report unusable ',"missing":"GNU tar"' ;;
  esac
  rm -rf -- "$reserved"
  # Where a build has filled the mount anew in between, that stands in the way, and is the newer.
  [ ! -d "$complete" ] || settle || rm -rf -- "$complete"
}

# no_changes SNAPSHOT LISTING: a digest of what is packed of a mount in which nothing has changed since:
# its directories, with their attributes and the names in them; and a listing of these
no_changes() {
  {
    tar -c --posix --pax-option=delete=atime ${attributes} ${incremental} -vvv \\
      -g "$1" -f - -C "$mount" . 2>"$2" || echo "$started" # no other digest is the same
  } | sha256sum
}

# boot_time: it is another when the clock has been set, and tar goes by the times of changes
boot_time() {
  grep '^btime ' /proc/stat
}

into_mount() {
  mv -- "$@" "$mount"/
}

# settle: puts complete files into place; it can go on where another one was killed
settle() {
  if [ ! -e "$complete/cleared" ]; then
    # What the mount was created with: the files hold what its user has left of it.
    for entry in "$mount"/* "$mount"/.[!.]* "$mount"/..?*; do
      [ "$entry" = "$complete" ] || rm -rf -- "$entry" || return 1
    done
    : >"$complete/cleared"
  fi
  # The renames change the root's own times: its attributes come last, from an archive of their own.
  entries "$complete/files" into_mount &&
    mv -- "$complete/root.tar" "$index.root.tar" &&
    rm -rf -- "$complete" &&
    tar -x -p ${attributes} -f "$index.root.tar" -C "$mount" &&
    rm -f -- "$index.root.tar"
}
`;

// Subshells: \`report\` ends only the work on one mount.
const forEachMount = `
for argument; do
  (work "$argument")
done
`;

/**
 * Called with a word for each mount: its index, the level to compress with and, where its changes are
 * to be packed, how many bytes they may have and what their snapshot is known by; with colons between.
 */
export const packScript = `${preamble}
# pack OPTION...: sets files and bytes, and whether hard links of what is packed are not
pack() {
  # tar lists what it packs on standard output; a directory ends with a slash
  files=$({
    tar -c --posix ${attributes} --sparse -v --totals "$@" -C "$mount" . 2>"$index.log"
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
        line=\${line#Total bytes written: }
        bytes=\${line%% *}
        ;;
      *': Missing links to '*) missing_links=true ;;
      *) printf '%s\\n' "$line" ;;
    esac
  done <"$index.log"
  rm -f -- "$index.status" "$index.log"
  [ "$status" = 0 ] && [ -n "$bytes" ]
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
  for use in count compare; do
    cp -- "$snapshot/snapshot" "$snapshot/$use" || return
  done
  pack ${incremental} --check-links -g "$snapshot/count" -f /dev/null || return
  if [ "$files" = 0 ] && [ "$unchanged" = "$(no_changes "$snapshot/compare" /dev/null)" ]; then
    result=unchanged
    return
  fi
  result=changed
  [ "$bytes" -le "$1" ] || {
    obstacle=size
    return 1
  }
  ! $missing_links &&
    pack ${incremental} -g "$snapshot/snapshot" -I "$compressor" -f "$archive"
}

work() {
  IFS=:
  set -- $1 # its fields
  unset IFS
  level=$2 allowed=\${3-} token=\${4-}
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
  obstacle=\${token:+snapshot}
  if has_snapshot "$token" && pack_changes "$allowed"; then
    obstacle=
  elif pack -I "$compressor" -f "$archive"; then
    result=packed
  else
    result=failed
    rm -f -- "$archive"
  fi
  # It is of no use but once.
  [ ! -d "$snapshot" ] || rm -f -- "$snapshot"/*
  case $result in
    packed | changed)
      report "$result" ",\\"compression\\":\\"$compression\\",\\"files\\":$files,\\"bytes\\":$bytes\${obstacle:+,\\"obstacle\\":\\"$obstacle\\"}"
      ;;
    *) report "$result" ;;
  esac
}
${forEachMount}`;

/**
 * Called with a word for each mount: its index, the number of bytes that its archives unpack to and,
 * where a snapshot is to be taken, what that is known by; with colons between.
 */
export const unpackScript = `${preamble}
# free: the bytes that the mount's disk has free, or nothing
free() {
  command -v df >/dev/null || return
  df -P -k "$mount" | {
    read -r header
    read -r device blocks used available rest
    case $available in
      '' | *[!0-9]*) ;;
      *) echo "$((available * 1024))" ;;
    esac
  }
}

# take_snapshot TOKEN: what comes after it counts as a change
take_snapshot() {
  rm -f -- "$snapshot"/*
  for program in ${incrementalPrograms.join(' ')}; do
    command -v "$program" >/dev/null || return
  done
  tar -c -g "$snapshot/new" -f /dev/null -C "$mount" . || return
  unchanged=$(no_changes "$snapshot/new" "$snapshot/listing")
  # When it unpacks changes, tar takes no extended attribute from a directory that is there already.
  ! grep '^  x: ' "$snapshot/listing" | grep -q -v -e ' security\\.selinux$' -e ' system\\.posix_acl_' ||
    return
  # Tar finds by device and inode that a directory has another name, and cannot always give it that when
  # it unpacks (what had the name before is in the way). On a device that there is none of, it finds
  # nothing, and packs the directory as a new one. The device is the sixth of the fields.
  device=$(sed -z -n 6p "$snapshot/new" | tr -d '\\0')
  [ -n "$device" ] && sed -z "s/^$device$/0/" "$snapshot/new" >"$snapshot/snapshot" &&
    rm -f -- "$snapshot/new" "$snapshot/listing" &&
    printf '%s\\n' "$1" "$(boot_time)" "$unchanged" >"$snapshot/state"
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
  tar -x -p ${attributes} "$@" -I "$compressor" -f "$archive" -C "$directory"
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
    unlink_below '' &&
    rm -rf -- "$reserved/delta"
}

# unlink_below PATH: goes through the delta's directories
unlink_below() {
  for entry in "$reserved/delta$1"/* "$reserved/delta$1"/.[!.]* "$reserved/delta$1"/..?*; do
    [ -d "$entry" ] && [ ! -L "$entry" ] || continue
    set -- "$1" "$1/\${entry##*/}"
    [ ! -L "$reserved/files$2" ] || rm -f -- "$reserved/files$2" || return
    unlink_below "$2" || return
  done
}

# has_link DIRECTORY: whether there is a symbolic link anywhere in it
has_link() {
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ ! -L "$entry" ] || return 0
    [ ! -d "$entry" ] || ! has_link "$entry" || return 0
  done
  return 1
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
  [ $# -eq 0 ] || ! has_link "$reserved/files" || links=true
  for delta; do
    ! $links || bar_links "$delta" || return
    unpack "$delta" "$reserved/files" -g /dev/null || return
    $links || ! lists_link "$delta" || links=true
  done
}

work() {
  IFS=:
  set -- $1 # its fields
  unset IFS
  needed=$2 token=\${3-}
  prepare "$1"
  for archive in /archives/"$index".*; do
    choose_compressor "$archive"
    command -v "$compressor" >/dev/null || report unusable ",\\"missing\\":\\"$compressor\\""
  done
  untouched || report warm
  available=$(free)
  [ "\${available:-$needed}" -ge "$needed" ] || report full ",\\"available\\":$available"

  # No archive of ours holds the reserved names, which would stand in the way of settling.
  mkdir "$reserved" "$reserved/files" &&
    unpack_all &&
    rm -rf -- "$reserved/files/${reservedName}" "$reserved/files/${reservedName}.complete" &&
    tar -c --posix ${attributes} --no-recursion -f "$reserved/root.tar" -C "$reserved/files" . &&
    mv -- "$reserved" "$complete" &&
    settle && {
      [ -z "$token" ] || take_snapshot "$token"
      report unpacked
    }
  # Nothing of the mount has changed but what can be settled later.
  rm -rf -- "$reserved"
  report failed
}
${forEachMount}`;
