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
 */
export const reservedName = '.buildkit-cache-mounts';

/** The programs that the scripts call; sh is also what GNU tar starts its compressor with. */
export const requiredPrograms = ['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm'] as const;

/** Without it, the free space is not looked at before unpacking. */
export const optionalProgram = 'df';

// --posix, xattrs, ACLs and --sparse on both sides: without them nanosecond times, capabilities and
// holes are lost.
const attributes = "--xattrs --xattrs-include='*' --acls --numeric-owner";

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

/** Called with the indexes of the mounts, and behind a colon the level to compress with. */
export const packScript = `${preamble}
work() {
  prepare "\${1%:*}"
  level=\${1##*:}
  ! untouched || report empty
  if command -v zstd >/dev/null; then
    compression=zstd archive=$index.tar.zst compressor="zstd -q -T0 -$level"
  elif command -v gzip >/dev/null; then
    [ "$level" -le 9 ] || level=9
    compression=gzip archive=$index.tar.gz compressor="gzip -$level"
  else
    report unusable ',"missing":"zstd or gzip"'
  fi
  # tar lists what it packs on standard output; a directory ends with a slash
  files=$({
    tar -c --posix ${attributes} --sparse -v --totals \\
      -I "$compressor" -f "$archive" -C "$mount" . 2>"$index.log"
    echo $? >"$index.status"
  } | grep -c -v '/$')
  # On a full disk both files may be empty, and the archive cut off.
  status=
  bytes=
  read -r status <"$index.status"
  while read -r line; do
    case $line in
      'Total bytes written: '*)
        line=\${line#Total bytes written: }
        bytes=\${line%% *}
        ;;
      *) printf '%s\\n' "$line" ;;
    esac
  done <"$index.log"
  rm -f -- "$index.status" "$index.log"
  if [ "$status" != 0 ] || [ -z "$bytes" ]; then
    rm -f -- "$archive"
    report failed
  fi
  report packed ",\\"compression\\":\\"$compression\\",\\"files\\":$files,\\"bytes\\":$bytes"
}
${forEachMount}`;

/**
 * Called with the archives' file names, which begin with the indexes of their mounts, and behind a
 * colon the number of bytes that they unpack to.
 */
export const unpackScript = `${preamble}
# free: the bytes that the mount's disk has free, or nothing
free() {
  command -v ${optionalProgram} >/dev/null || return
  df -P -k "$mount" | {
    read -r header
    read -r device blocks used available rest
    case $available in
      '' | *[!0-9]*) ;;
      *) echo "$((available * 1024))" ;;
    esac
  }
}

work() {
  file=\${1%:*}
  needed=\${1##*:}
  prepare "\${file%%.*}"
  archive=/archives/$file
  case $archive in
    *.zst) compressor=zstd ;;
    *) compressor=gzip ;;
  esac
  command -v "$compressor" >/dev/null || report unusable ",\\"missing\\":\\"$compressor\\""
  untouched || report warm
  available=$(free)
  [ "\${available:-$needed}" -ge "$needed" ] || report full ",\\"available\\":$available"

  # No archive of ours holds the reserved names, which would stand in the way of settling.
  mkdir "$reserved" "$reserved/files" &&
    tar -x -p ${attributes} -I "$compressor" -f "$archive" -C "$reserved/files" &&
    rm -rf -- "$reserved/files/${reservedName}" "$reserved/files/${reservedName}.complete" &&
    tar -c --posix ${attributes} --no-recursion -f "$reserved/root.tar" -C "$reserved/files" . &&
    mv -- "$reserved" "$complete" &&
    settle && report unpacked
  # Nothing of the mount has changed but what can be settled later.
  rm -rf -- "$reserved"
  report failed
}
${forEachMount}`;
