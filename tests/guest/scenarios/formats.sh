# shellcheck shell=bash
# A node sends records in the format that it was told to, and takes every format.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B

case $(cat /sys/module/jool/version) in
4.1.[0-9]|4.1.[0-9].*|4.1.1[01]*) own=140 ;;
4.1.12*) own=52 ;;
*) own=40 ;;
esac

# hears FORMAT WHOM COMMAND…: fails unless all that the node sends to the group meanwhile is of that format.
hears() {
    local from=$2 header
    printf -v header '%02x0001[08]0' "$1"
    start sync listen guest-lab listen-frames --group ff15::6a6f:6f6c --port 6400 --interface sync --seconds 300
    wait_for 10 "somebody listens" logged sync listen 'listening to'
    "${@:3}"
    stop sync listen
    logged sync listen "^\[$from[]%].* $header" || fail "nothing in $1 bytes came from $from"
    # Of every datagram of records the length is a multiple of the record's, and of four more for each in the trailer of 42.
    tail -n "+${LOG_BEGINS[sync.listen]}" "$LOGS/sync.listen.log" | grep -F "[$from" | grep -v ' ffff6a64' >"$LOGS/heard"
    ! grep -v "^[^ ]* [0-9]* $header" "$LOGS/heard" | cut -c1-100 | grep . || fail "not in $1 bytes"
    ! awk -v record="$1" '($2 - 42) % (record + 4)' "$LOGS/heard" | cut -c1-100 | grep . || fail "not whole records of $1 bytes"
}

set=0
for format in 140 52 40; do
    start_joold A "$(configuration A "{ \"in interface\": \"sA\", \"record format\": \"$format\" }")"
    start_joold B
    move_traffic_to A
    hears "$format" fd64::1 set_arrives "$((set += 1))" A B
    move_traffic_to B
    hears "$own" fd64::2 set_arrives "$((set += 1))" A B
    same_sessions_within 15 A B
    say "A sends $format bytes, B $own: both have $(sessions A) sessions"
    stop_joold A
    stop_joold B
done
dmesg_is_silent || fail "the kernel complained"
