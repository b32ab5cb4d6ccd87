#!/usr/bin/env bash
# An engine that a test stops and starts as it likes: own-engine.sh [OPTIONS_OF_A_TMPFS]
#
# Prints the variables by which docker reaches it, and an empty line; then it takes the commands
# start, stop (the engine ends in good order) and crash (it does not) from its standard input, one a
# line, and answers each with "done" or "failed". It ends, with the engine and all its files, when
# its input ends. With options such as size=64m, all that the engine stores is on a tmpfs.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
# shellcheck source=scripts/lib/engine.sh
. scripts/lib/engine.sh

if (($# > 0)); then
  # A mount of the engine's own name space: it goes, with its files, when the engine ends.
  # shellcheck disable=SC2154 # of engine.sh
  engine__inside=${engine__inside/$'\nshift\n'/$'\n'"mkdir -p \"\$1/data\"; mount -n -t tmpfs -o $1 tmpfs \"\$1/data\""$'\nshift\n'}
fi

start() {
  rm -rf "$ENGINE_DIR"/{exec,docker.pid,docker.sock}
  engine__launch false && engine__await false
}

stop() {
  # shellcheck disable=SC2154 # of engine.sh
  kill -TERM "$(pgrep -P "$engine__pid")"
  wait "$engine__pid"
  engine__pid=
}

crash() { engine__kill; }

trap engine_stop EXIT
trap 'exit 143' INT TERM
engine_install "$PWD/.cache/engine" >&2 && engine_start faults classic || exit 1
for name in DOCKER_HOST DOCKER_CONFIG BUILDX_CONFIG PATH; do printf '%s=%s\n' "$name" "${!name}"; done
echo
while read -r command; do
  case $command in
    start | stop | crash) "$command" >&2 && echo "done" || echo failed ;;
    *) echo failed ;;
  esac
done
