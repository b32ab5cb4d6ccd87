# shellcheck shell=sh
#
# The common part of pack.sh and unpack.sh, which source this file.
#
# They run inside the build and use only POSIX sh, GNU tar and a compressor. Each gets one argument
# for each mount of the RUN. For each mount it appends one line of JSON to `report` in its working
# directory (mount-report.ts reads it). It always succeeds, because trouble with one mount must not
# affect the others.
#
# A mount is filled completely or not at all, even if the build is killed. (A trap would not help,
# because a cancelled RUN gets SIGKILL.) The files are first unpacked into one reserved directory at
# the mount's root. When they are complete, this directory is renamed. Last, the files are renamed
# into place. The next script removes a reserved directory that is not complete, and finishes the
# work on one that is. If files are added to a mount that holds others, only the last step differs: a
# file or a directory is renamed into place if the mount has nothing of that name. If this is cut, the
# mount has all that it had, and some of what it lacked, each of it whole.
#
# A cache mount of our own holds the snapshot, in GNU tar's incremental format, and a file that says
# what the snapshot belongs to.

unset TAR_OPTIONS
LC_ALL=C
export LC_ALL

# No archive of ours holds this name at the mount's root, nor this name with ".complete".
reserved_name=.buildkit-cache-mounts

# for_each_mount ARGUMENT...: splits each argument at its colons and calls work FIELD...
# Each call has its own subshell, because report exits to end the work on one mount.
for_each_mount() {
  for argument; do
    (
      set -f
      IFS=:
      # shellcheck disable=SC2086 # the splitting is wanted
      set -- $argument
      unset IFS
      set +f
      work "$@"
    )
  done
}

# report RESULT [MORE_JSON]: writes the line of JSON and ends the work on this mount
report() {
  read -r ended rest </proc/uptime
  printf '{"mount":%s,"result":"%s","started":%s,"ended":%s%s}\n' \
    "$index" "$1" "$started" "$ended" "${2-}" >>report
  exit 0
}

# entries DIR COMMAND: runs COMMAND PATH... for all paths in DIR, some at a time, until one fails
entries() {
  dir=$1
  shift
  for entry in "$dir"/* "$dir"/.[!.]* "$dir"/..?*; do
    # If a pattern matches nothing, the shell leaves the pattern itself.
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    set -- "$@" "$entry"
    [ $# -lt 256 ] || { "$@" && set -- "$1"; } || return
  done
  [ $# -eq 1 ] || "$@"
}

# create OPTION...: makes an archive. Both create and extract need these options. Otherwise
# nanosecond times, capabilities and ACLs are lost.
create() {
  tar -c --posix --xattrs --xattrs-include='*' --acls --numeric-owner "$@"
}

# create_since SNAPSHOT OPTION...: makes an archive of the changes since the snapshot. Tar also
# updates the snapshot. The device is not checked, because each build may give it another number.
create_since() {
  create --no-check-device --warning=no-new-directory --warning=no-rename-directory -g "$@"
}

# extract OPTION...: unpacks an archive that create has made
extract() {
  tar -x -p --xattrs --xattrs-include='*' --acls --numeric-owner "$@"
}

# untouched: whether the mount is empty, or holds only the content that it was created with
untouched() {
  entries "$mount" false ||
    { [ -d "$seed" ] && [ "$(listing "$mount")" = "$(listing "$seed")" ]; }
}

# find_step DIRECTION: looks for the step, if it waits for the mount's archives (stream.sh). Sets at,
# to where it is, or detour, to why it cannot be reached. The first mount looks for all of them.
# shellcheck disable=SC2034 # both scripts use them
find_step() {
  at=
  detour=
  plan=/plans/$index
  [ -s "$plan" ] || return
  # The same list as streamPrograms in scripts.ts.
  for program in bash head sha256sum tee timeout; do
    command -v "$program" >/dev/null || { detour=programs; return; }
  done
  [ -e step ] || {
    are_gnus || { detour=programs; return; }
    bash "${0%/*}/stream.sh" find "$1" "$plan" >step
  }
  read -r at <step || detour=unreachable
}

# are_gnus: whether timeout, tee and head can do what is needed of them. Those of BusyBox cannot: head takes
# more than it should, and the others have no such options.
are_gnus() {
  timeout --foreground --preserve-status --signal=USR1 60 tee --output-error=exit </dev/null 2>/dev/null &&
    [ "$(printf ab | { head -c 1 >/dev/null; head -c 1; })" = b ]
}

# listing DIR: lists all files below DIR with their attributes. The archive goes to /dev/null,
# because then tar does not read the files.
listing() {
  tar -c -f /dev/null -vv --full-time --numeric-owner --sort=name -C "$1" . | grep -v ' \./$'
}

# prepare INDEX: the first step for each mount
prepare() {
  index=$1
  mount=/mounts/$index
  seed=/seeds/$index
  reserved=$mount/$reserved_name
  complete=$mount/$reserved_name.complete
  # shellcheck disable=SC2034 # both scripts use it
  snapshot=/snapshots/$index
  read -r started rest </proc/uptime
  # The same list as requiredPrograms in scripts.ts.
  for program in sh tar grep mkdir mv rm; do
    command -v "$program" >/dev/null || report unusable ",\"missing\":\"$program\""
  done
  case $(tar --version 2>&1) in
    *'GNU tar'*) ;;
    *) report unusable ',"missing":"GNU tar"' ;;
  esac
  rm -rf -- "$reserved"
  # If a build has filled the mount again in the meantime, its files are in the way. They are newer,
  # so they stay, and the complete files go.
  [ ! -d "$complete" ] || settle || rm -rf -- "$complete"
}

# no_changes SNAPSHOT LISTING: prints a digest of the delta of a mount in which nothing has changed
# since the snapshot, and writes a listing of this delta. Such a delta holds only the directories,
# with their attributes and the names in them.
no_changes() {
  {
    # If tar fails, the time makes sure that no other digest is the same.
    create_since "$1" --pax-option=delete=atime -vvv -f - -C "$mount" . 2>"$2" || echo "$started"
  } | sha256sum
}

# For the lines of tar: leaves out the time of a directory, and the spaces after other times, because
# the width of that column depends on the times before.
without_times='s/^(d[^ ]* +[^ ]+ +[^ ]+) [^ ]+ [^ ]+ +/\1 /; s/^([^ d][^ ]* +[^ ]+ +[^ ]+ [^ ]+ [^ ]+) +/\1 /'

# list_all OPTION...: prints a digest of a list of the mount's files, with all their attributes. The
# times of directories are left out, because a file that is not packed changes them, too.
list_all() {
  {
    create -f /dev/null -vvv --full-time --sort=name "$@" -C "$mount" . 2>&1 || echo "$started"
  } | sed -E "$without_times" | sha256sum
}

# boot_time: differs if the clock has been set since; then tar cannot rely on the times of changes
boot_time() {
  grep '^btime ' /proc/stat
}

# settle: puts complete files into place. It can continue after an earlier run was killed.
settle() {
  if [ -e "$complete/add" ]; then
    add_missing || return
  else
    replace_all || return
  fi
  # The renames change the times of the root directory. So its attributes are set last, from their
  # own archive.
  mv -- "$complete/root.tar" "$index.root.tar" &&
    rm -rf -- "$complete" &&
    extract -f "$index.root.tar" -C "$mount" &&
    rm -f -- "$index.root.tar"
}

replace_all() {
  if [ ! -e "$complete/cleared" ]; then
    # This removes the content that the mount was created with. The archive holds the part of that
    # content that the user has kept.
    entries "$mount" remove_all_but_complete || return
    : >"$complete/cleared"
  fi
  entries "$complete/files" into_mount
}

remove_all_but_complete() {
  for entry; do
    [ "$entry" = "$complete" ] || rm -rf -- "$entry" || return
  done
}

into_mount() {
  mv -- "$@" "$mount"/
}

# add_missing: puts those files into place whose names the mount does not have. The renames change
# the times of directories that the mount has; an archive of just these directories gives them back.
add_missing() {
  for_shared '' name_directory >"$index.shared" &&
    create --no-recursion -f "$index.shared.tar" -C "$mount" --null -T - <"$index.shared" &&
    for_shared '' add_to &&
    extract -f "$index.shared.tar" -C "$mount" &&
    rm -f -- "$index.shared" "$index.shared.tar"
}

# for_shared PATH COMMAND: runs COMMAND for PATH, and then for each path below it, if there is a
# directory both in the mount and among the complete files. Each path begins with a slash. (This is
# only one function, because dash limits nested calls to a depth of 1000.)
for_shared() {
  "$2" "$1" || return
  for entry in "$complete/files$1"/* "$complete/files$1"/.[!.]* "$complete/files$1"/..?*; do
    path=${entry#"$complete/files"}
    if is_directory "$entry" && is_directory "$mount$path"; then
      for_shared "$path" "$2" || return
    fi
  done
}

is_directory() {
  [ -d "$1" ] && [ ! -L "$1" ]
}

name_directory() {
  printf '.%s\0' "$1"
}

add_to() {
  into=$mount$1
  entries "$complete/files$1" move_missing
}

# move_missing PATH...: moves the paths whose names are missing. All others stay where they are,
# even if one is a file and the other a directory.
move_missing() {
  for each; do
    shift
    [ -e "$into/${each##*/}" ] || [ -L "$into/${each##*/}" ] || set -- "$@" "$each"
  done
  [ $# -eq 0 ] || mv -- "$@" "$into"/
}
