#!/usr/bin/env bash
# BuildKit by itself, for builders of the driver "remote": own-buildkit.sh BUILDKITD DIRECTORY
#
# Prints "ready" when it answers at the socket DIRECTORY/socket, and ends, with all that runs in it, when its
# input ends. It has a mount and a process namespace of its own: with the last process go their mounts. The socket
# for traces has a path of its own too, because two that start at once would both make the default one. It collects
# no garbage, for the reason in scripts/lib/buildkitd.toml.
set -uo pipefail
buildkitd=$1 directory=$2
mkdir -p "$directory/root" || exit
unshare --mount --pid --mount-proc --fork --kill-child \
  env PATH="${buildkitd%/*}:$PATH:/usr/sbin:/sbin" "$buildkitd" --addr "unix://$directory/socket" \
  --otel-socket-path "$directory/traces" --root "$directory/root" --containerd-worker=false \
  --oci-worker-net=host --oci-worker-gc=false \
  </dev/null >"$directory/log" 2>&1 &
pid=$!
trap '{ kill -KILL "$pid"; wait "$pid"; } 2>/dev/null; rm -rf --one-file-system "$directory"' EXIT
trap 'exit 143' INT TERM
until grep -qs 'running server on' "$directory/log"; do
  kill -0 "$pid" 2>/dev/null || { cat "$directory/log" >&2; exit 1; }
  sleep 0.05
done
echo ready
read -r _ || true
