#!/bin/bash
# Carries an archive between a RUN and the step over TCP. What is said on the wire, and why, is told in
# ../stream/protocol.ts; a plan is the text that its renderPlan makes.
#
#     stream.sh find DIRECTION PLAN
#         Prints the address and port of the first endpoint whose listener proves itself.
#     stream.sh carry pack PLAN PLACE ADDRESS PORT COMMAND...
#         Sends what COMMAND makes of the standard input. Prints the SHA-256 of that when the step has
#         all of it.
#     stream.sh carry unpack PLAN PLACE ADDRESS PORT DIRECTORY COMMAND...
#         Gives to COMMAND what the step sends, and nothing else. All of it was there if this succeeds.
#         DIRECTORY holds what was not yet proven to be the step's.
#
# PLACE is that of the archive in the plan, from 0; each can be asked for once. `carry` is meant for GNU
# tar's option -I. Needs bash (/dev/tcp), sha256sum, and GNU's head, tee and timeout.
set -uo pipefail
LC_ALL=C
protocol=buildkit-cache-mounts/1

# Seconds to connect and to greet.
patience=2

fail() {
  printf 'The archive cannot go straight through: %s.\n' "$*" >&2
  exit 1
}

# digest: the SHA-256 of the standard input, in hex. (If bash can open no pipe for $(…), it goes on with an
# empty text, and says that nothing has failed. So no empty text counts, here and below.)
digest() {
  local sum
  sum=$(sha256sum) && [[ -n $sum ]] && printf %s "${sum%% *}"
}

# prove ROLE [CONTENT]: fails if any part of the proof cannot be made. The keys are in no command's arguments,
# because printf is a part of bash.
prove() {
  local message="$protocol $1 $direction $name $run_nonce $listener_nonce${2:+ $2}" inner
  inner=$(printf '%s%s' "$inner_key" "$message" | digest) && [[ -n $inner ]] &&
    printf '%s%s' "$outer_key" "$inner" | digest
}

# read_plan PLACE: sets endpoints, silence, until, block, and what there is to know of the archive
read_plan() {
  local kind first second third fourth place=0
  endpoints=() silence='' until='' block='' name=''
  while read -r kind first second third fourth _; do
    case $kind in
      silence) silence=$first ;;
      until) until=$first ;;
      block) block=$first ;;
      endpoint) endpoints+=("$first $second") ;;
      archive)
        if ((place++ == $1)); then
          name=$first inner_key=$second outer_key=$third size=$fourth
        fi
        ;;
    esac
  done <"$plan"
  [[ -n $silence && -n $until && -n $block && -n $name ]]
}

# is_proven ROLE PROOF [CONTENT]: whether the listener knows the keys. If this side cannot make the proof, no
# other one counts.
is_proven() {
  local expected
  expected=$(prove "$1" "${@:3}") && [[ -n $expected && $2 == "$expected" ]]
}

# connect ADDRESS PORT: greets as far as the listener has proven itself. Connecting has no time limit of
# its own: `timeout` ends the script by a signal, which it does not hear any more when it is through.
connect() {
  local proof
  run_nonce=$(head -c 32 /dev/urandom | digest) || return
  { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || return
  printf '%s %s %s %s\n' "$protocol" "$direction" "$name" "$run_nonce" >&3 || return
  IFS=' ' read -r -t "$patience" -n 160 listener_nonce proof <&3 || return
  [[ $listener_nonce =~ ^[0-9a-f]{64}$ ]] && is_proven listener "$proof"
}

# Runs this script; not all of its time is limited, but that of connecting.
within_patience=(timeout --foreground --preserve-status --signal=USR1 "$patience" "$BASH" "$0")

# default_gateway: that of the container, or nothing
default_gateway() {
  local destination gateway
  while read -r _ destination gateway _; do
    # The least significant byte comes first, as on all machines that are little-endian.
    [[ $destination == 00000000 && $gateway =~ ^[0-9A-F]{8}$ ]] || continue
    printf '%d.%d.%d.%d' "0x${gateway:6:2}" "0x${gateway:4:2}" "0x${gateway:2:2}" "0x${gateway:0:2}"
    return
  done </proc/net/route
}

# find_endpoint: most often the step is at the gateway; the loopback answers, or refuses, at once.
# Where a firewall swallows what is sent, it is not worth to wait for each of many.
find_endpoint() {
  local endpoint gateway sought rank
  gateway=$(default_gateway 2>/dev/null)
  for sought in gateway loopback other; do
    for endpoint in "${endpoints[@]}"; do
      case ${endpoint% *} in
        "$gateway") rank=gateway ;;
        127.0.0.1 | ::1) rank=loopback ;;
        *) rank=other ;;
      esac
      [[ $rank == "$sought" ]] || continue
      ((SECONDS < 2 * patience)) || return
      # shellcheck disable=SC2086 # two words
      if "${within_patience[@]}" greet "$direction" "$plan" 0 $endpoint; then
        printf '%s\n' "$endpoint"
        return
      fi
    done
  done
  return 1
}

# await_end INPUT: waits for the end of the process $carrier, and ends it if the other side takes nothing from it
# for `silence` seconds. If there is no INPUT, the process waits for this side, where a compressor may think, or a
# disk may stall, for longer.
await_end() {
  local field value count before='' still=0 unseen=0 why=''
  # The process has the other end of this pipe, and does not write to it.
  while read -r -t 1; (($? > 128)); do
    count=
    while read -r field value; do
      [[ $field != wchar: ]] || count=$value
    done 2>/dev/null <"/proc/$carrier/io"
    if [[ -z $count ]]; then
      # Once may be because it has just ended.
      ((++unseen < 3)) || why='What goes through cannot be seen.'
    elif [[ $count != "$before" ]] || ! read -r -t 0 -u "$1"; then
      still=0
    elif ((++still >= silence)); then
      why="The other side has been silent for $silence seconds."
    fi
    if [[ -n $why ]]; then
      printf '%s\n' "$why" >&2
      kill "$carrier"
      return
    fi
    before=$count
  done
}

# carry_on: becomes the program that writes the standard input to the standard output and to the digest. Meant
# for a subshell.
carry_on() {
  carrier=$BASHPID
  exec 7<&0 || exit
  exec 6> >(exec >/dev/null 4>&- 5>&-; await_end 7) || exit
  exec 7<&- tee --output-error=exit /dev/fd/5
}

# send COMMAND...: the digest is taken on the way. When the last of it is sent, some megabytes may still wait in
# the kernel for the other side, so the trailer may be held up, and the last word may take longer.
send() {
  local sum proof verdict
  sum=$({ "$@" 3>&- | carry_on >&3; } 5>&1 | digest) && [[ -n $sum ]] &&
    proof=$(prove sent "$sum") && [[ -n $proof ]] || return
  printf '\nsent %s %s\n' "$sum" "$proof" | timeout --foreground "$silence" tee >&3 || return
  IFS= read -r -t $((5 * silence)) -n 160 verdict <&3 || return
  [[ $verdict == "good "* ]] && is_proven good "${verdict#good }" "$sum" && printf '%s\n' "$sum"
}

# receive DIRECTORY COMMAND...
receive() {
  receive_blocks "$1" | "${@:2}" 3>&-
}

# receive_blocks DIRECTORY: a block is passed on while the next one comes
receive_blocks() {
  local number=0 rest=$size bytes file proof sum passing=''
  while ((rest > 0)); do
    bytes=$((rest < block ? rest : block)) file=$1/$((number % 2))
    IFS= read -r -t "$silence" -n 65 proof <&3 || return
    timeout --foreground "$silence" head -c "$bytes" <&3 >"$file" || return
    sum=$(digest <"$file") && is_proven block "$proof" "$number $bytes $sum" || return
    [[ -z $passing ]] || wait "$passing" || return
    tee <"$file" 3>&- &
    passing=$!
    ((rest -= bytes, number += 1))
  done
  wait "$passing"
}

action=$1 direction=$2 plan=$3 place=${4-0}
read_plan "$place" || fail "the plan has no archive $place"
case $action in
  find) find_endpoint || fail 'no listener of the step answers' ;;
  greet) connect "$5" "$6" ;;
  carry)
    # Everything that carries the archive is in one process group, and nothing of it outlives the time of the plan.
    printf -v now '%(%s)T' -1
    ((until > now)) || fail 'there is no time left for it'
    timeout --kill-after=5 $((until - now)) "${within_patience[@]}" carry-now "${@:2}" <&0 &
    group=$!
    wait "$group"
    code=$?
    # What does not hear the signal of timeout, or what remains of it, would go on.
    ((code == 0)) || kill -KILL -- "-$group" 2>/dev/null
    case $code in
      124) fail 'the time for it is over' ;;
      137) fail 'what carries it was killed' ;;
    esac
    ((code < 128)) || fail 'the listener of the step does not answer in time'
    exit "$code"
    ;;
  carry-now)
    connect "$5" "$6" || fail 'the listener of the step does not answer'
    trap '' USR1
    proof=$(prove run) || fail 'no proof can be made'
    printf '%s\n' "$proof" >&3
    case $direction in
      pack) send "${@:7}" ;;
      unpack) receive "${@:7}" ;;
    esac || fail 'it was cut off, or is not what it should be'
    ;;
esac
