# shellcheck shell=sh
#
# What pack.sh and unpack.sh have in common. Sourced by them.
#
# They run inside the build: POSIX sh around GNU tar and a compressor. Each is called with an argument
# for each mount that the RUN has. It appends one line of JSON per mount to `report` in its working
# directory (mount-report.ts reads it) and always succeeds, so that trouble with one mount leaves the
# others alone.
#
# Incoming files are unpacked into one reserved directory at the mount's root. When they are complete,
# the directory is renamed, and from then on they count: their last step is to be renamed into place.
# So a mount is filled whole or not at all, even if the build is killed (a RUN that is cancelled gets
# SIGKILL, so no trap would run): the next script removes what is not complete and finishes what is.
#
# To tell later what has changed in a mount, a cache mount of our own holds a snapshot for GNU tar's
# incremental format, and a line that says what it belongs to.

unset TAR_OPTIONS
LC_ALL=C
export LC_ALL

# No archive of ours holds this name at the mount's root, or the name with ".complete".
reserved_name=.buildkit-cache-mounts

# for_each_mount ARGUMENT...: calls work FIELD... for each, with the fields that colons separate in it.
# In a subshell, so that report ends the work on one mount only.
for_each_mount() {
  for argument; do
    (
      set -f
      IFS=:
      # shellcheck disable=SC2086 # it is split into its fields
      set -- $argument
      unset IFS
      set +f
      work "$@"
    )
  done
}

# report RESULT [MORE_JSON]: writes the line and ends the work on this mount
report() {
  read -r ended rest </proc/uptime
  printf '{"mount":%s,"result":"%s","started":%s,"ended":%s%s}\n' \
    "$index" "$1" "$started" "$ended" "${2-}" >>report
  exit 0
}

# entries DIR COMMAND: runs COMMAND ENTRY... for all that is in DIR, some at a time, until one fails
entries() {
  dir=$1
  shift
  for entry in "$dir"/* "$dir"/.[!.]* "$dir"/..?*; do
    # What matches nothing is left by the shell as it stands.
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    set -- "$@" "$entry"
    [ $# -lt 256 ] || { "$@" && set -- "$1"; } || return
  done
  [ $# -eq 1 ] || "$@"
}

# create OPTION...: tar makes an archive. Without posix, xattrs and acls on both sides, nanosecond times,
# capabilities and ACLs are lost.
create() {
  tar -c --posix --xattrs --xattrs-include='*' --acls --numeric-owner "$@"
}

# create_since SNAPSHOT OPTION...: makes an archive of what has changed since the snapshot, and makes that
# one of now. A device may have another number in each build.
create_since() {
  create --no-check-device --warning=no-new-directory --warning=no-rename-directory -g "$@"
}

# extract OPTION...: tar unpacks what create has made
extract() {
  tar -x -p --xattrs --xattrs-include='*' --acls --numeric-owner "$@"
}

# untouched: the mount holds nothing, or just what it was created with
untouched() {
  entries "$mount" false ||
    { [ -d "$seed" ] && [ "$(listing "$mount")" = "$(listing "$seed")" ]; }
}

# find_step DIRECTION: looks for the step, if that waits for the mount's archives (stream.sh). Sets at, to
# where it is, or detour, to why it cannot be reached. The first mount looks for all of them.
# shellcheck disable=SC2034 # both scripts use them
find_step() {
  at=
  detour=
  plan=/plans/$index
  [ -s "$plan" ] || return
  # These are streamPrograms of scripts.ts.
  for program in bash head sha256sum tee timeout; do
    command -v "$program" >/dev/null || { detour=programs; return; }
  done
  [ -e step ] || bash "${0%/*}/stream.sh" find "$1" "$plan" >step
  read -r at <step || detour=unreachable
}

# listing DIR: all below DIR with its attributes; tar does not read what goes to /dev/null
listing() {
  tar -c -f /dev/null -vv --full-time --numeric-owner --sort=name -C "$1" . | grep -v ' \./$'
}

# prepare INDEX: what comes first for each mount
prepare() {
  index=$1
  mount=/mounts/$index
  seed=/seeds/$index
  reserved=$mount/$reserved_name
  complete=$mount/$reserved_name.complete
  # shellcheck disable=SC2034 # both scripts use it
  snapshot=/snapshots/$index
  read -r started rest </proc/uptime
  # These are requiredPrograms of scripts.ts.
  for program in sh tar grep mkdir mv rm; do
    command -v "$program" >/dev/null || report unusable ",\"missing\":\"$program\""
  done
  case $(tar --version 2>&1) in
    *'GNU tar'*) ;;
    *) report unusable ',"missing":"GNU tar"' ;;
  esac
  rm -rf -- "$reserved"
  # If a build has filled the mount anew in between, that stands in the way, and is the newer.
  [ ! -d "$complete" ] || settle || rm -rf -- "$complete"
}

# no_changes SNAPSHOT LISTING: a digest of what is packed of a mount in which nothing has changed since:
# its directories, with their attributes and the names in them; and a listing of these
no_changes() {
  {
    # No other digest is the same as that of the time.
    create_since "$1" --pax-option=delete=atime -vvv -f - -C "$mount" . 2>"$2" || echo "$started"
  } | sha256sum
}

# boot_time: it is another when the clock has been set, and tar goes by the times of changes
boot_time() {
  grep '^btime ' /proc/stat
}

# settle: puts complete files into place; it can go on where another one was killed
settle() {
  if [ ! -e "$complete/cleared" ]; then
    # What the mount was created with: the files hold what its user has left of it.
    entries "$mount" remove_all_but_complete || return
    : >"$complete/cleared"
  fi
  # The renames change the root's own times: its attributes come last, from an archive of their own.
  entries "$complete/files" into_mount &&
    mv -- "$complete/root.tar" "$index.root.tar" &&
    rm -rf -- "$complete" &&
    extract -f "$index.root.tar" -C "$mount" &&
    rm -f -- "$index.root.tar"
}

remove_all_but_complete() {
  for entry; do
    [ "$entry" = "$complete" ] || rm -rf -- "$entry" || return
  done
}

into_mount() {
  mv -- "$@" "$mount"/
}
