# shellcheck shell=bash
# Whoever is on the sync network can send anything. None of it may reach the kernel but valid records, of
# all three formats.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
# The real records below have masks from all over the ports.
for node in A B; do
    for protocol in tcp udp icmp; do
        at "$node" jool pool4 add "--$protocol" 198.51.100.1 1-61000
        at "$node" jool pool4 add "--$protocol" 198.51.100.2 1-61000
    done
done
start_joold A
start_joold B
set_arrives 1 A B

frames=$LOGS/frames
send() { at sync guest-lab send-frame --group "${2:-ff15::6a6f:6f6c}" --port 6400 --interface sync --rate 200 "$1"; }

# Records of sessions that no Jool has, on a little-endian machine.
client=20010db8000200000000000000000066 mask=c6336401 server=c0000208
# flat40 FLAGS [LIFETIME [PORT [SERVER]]], all in hex; the flags are protocol << 5 | state << 2 | timer.
flat40() { echo "28000100 $client $mask ${4:-$server} ${2:-000493e0} ${3:-0400} ${3:-0400} 2328 $1"; }
# flat52 FLAGS PREFIX
flat52() { echo "34000100 $client $2 $server $mask 000493e0 0400 2328 0400 $1"; }
# tlv [KEY VALUE]…: the 140-byte record, with another value for some of its parts.
tlv() {
    local -A is=([header]=8c000180 [port]=060002000004 [prefix]=0064ff9b0000000000000000 [protocol]=01 [state]=00 [timer]=00 [lifetime]=e0930400)
    while [ $# -gt 0 ]; do is[$1]=$2; shift 2; done
    echo "${is[header]} 20000180 14000100 $client ${is[port]} 0000" \
        "20000280 14000100 ${is[prefix]} $server 06000200 2823 0000" \
        "14000380 08000100 $mask 06000200 0004 0000 14000480 08000100 $server 06000200 2823 0000" \
        "05000500 ${is[protocol]} 000000 05000600 ${is[state]} 000000 05000700 ${is[timer]} 000000 08000800 ${is[lifetime]}"
}

table A >"$LOGS/before"
{
    echo 00 # not an attribute
    echo 00000100 # an attribute of no length, at which a reader may stand still
    echo 00000100 00000000 00000000
    echo 04000100 # an attribute with nothing in it
    echo "0400"
    echo "ffff0100 00"
    flat40 0020 | tr -d ' ' | cut -c1-60 # cut off
    flat52 0020 0064ff9b0000000000000000 | tr -d ' ' | cut -c1-60
    tlv | tr -d ' ' | cut -c1-160
    flat40 0020 | sed 's/^28000100/28000200/' # of another type
    flat40 0020 | sed 's/^28000100/28000000/'
    tlv header 8c000280
    # Lengths that the module itself would let pass: 4 less or more.
    flat40 0020 | sed 's/^2800/2400/; s/ 0020$//; s/ 2328$//'
    flat40 0020 | sed 's/^2800/2c00/; s/$/ 00000000/'
    tlv | sed 's/^8c00/8800/; s/ 08000800.*$/ 08000800/'
    tlv | sed 's/^8c00/9000/; s/$/ 00000000/'
    flat52 0020 0064ff9b0000000000000000 | sed 's/^3400/3000/; s/ 0400 0020$//'
    tlv | sed 's/^8c00/8400/; s/ 060002000004 0000//' # without a port, at which 4.1.9 oopses
    tlv port 060009000004 # in its place something else
    tlv protocol 03
    tlv protocol ff
    tlv state 07
    tlv state 06 # TRANS, of UDP
    tlv timer 03
    tlv timer 02
    tlv prefix 0064ff9b0000000000000001 # outside pool6
    flat52 0020 20010db80000000000000000
    flat52 003c 0064ff9b0000000000000000
    flat52 0060 0064ff9b0000000000000000
    flat40 001c # TCP in state 7
    flat40 0038 # UDP in TRANS
    flat40 003c
    flat40 0003 # timer 3
    flat40 0021 # UDP and ICMP have no other timer than the established one
    flat40 0022
    flat40 0041
    flat40 0060 # protocol 3
    flat40 ffff
    flat40 0040 # ICMP with two identifiers
    echo "28000100 $client cb00714d $server 000493e0 0400 0400 2328 0020" # a mask that is not in pool4
    flat40 0020 000493e0 0400 00000000
    flat40 0020 000493e0 0400 e0000001
} >"$frames.invalid"
# 64 KiB of records in state 7, as much as UDP carries.
{ for ((i = 0; i < 1637; i++)); do flat40 001c; done } | tr -d ' \n' >"$frames.long"
# Random bytes, in every run the same; half of them with the header of a record.
RANDOM=6464
{
    for ((i = 0; i < 400; i++)); do
        ((i % 2)) || printf 28000100
        for ((length = RANDOM % 80; length >= 0; length--)); do
            printf %04x "$((RANDOM << 1 & 0xffff | RANDOM & 1))"
        done
        echo
    done
} >"$frames.random"
# What is a record by chance must not be one that a Jool may take: state 7.
sed -i -E 's/^(28000100.{68})..../\1001c/' "$frames.random"

send "$frames.invalid"
send "$frames.long"
send "$frames.random"
say "$(wc -l <"$frames.invalid") kinds of invalid records, 64 KiB of them and $(wc -l <"$frames.random") random datagrams were sent"

wait_for 15 "B logs what it dropped" logged B joold 'dropped: .*refused records'
set_arrives 2 A B
is_running B joold || fail "B's daemon is gone"
for node in A B; do
    table "$node" | grep -vF ',2001:db8:1::2,' >"$LOGS/after"
    diff "$LOGS/before" "$LOGS/after" || fail "$node's table has changed"
done
say "both tables are as before, and new sessions arrive"

# What real Jools of 4.1.9, 4.1.12 and 4.1.13 emitted for a UDP, an ICMP and a TCP session.
cat >"$frames.valid" <<'END'
8c000180200001801400010020010db8000000000000000000000008060002000004000020000280140001000064ff9b0000000000000000c000020806000200282300001400038008000100c633640106000200f8aa00001400048008000100c0000208060002002823000005000500010000000500060000000000050007000000000008000800e0930400
8c000180200001801400010020010db800000000000000000000000806000200c001000020000280140001000064ff9b0000000000000000c000020806000200c00100001400038008000100c6336401060002001d0b00001400048008000100c0000208060002001d0b00000500050002000000050006000000000005000700000000000800080060ea0000
8c000180200001801400010020010db800000000000000000000000806000200409c000020000280140001000064ff9b0000000000000000c000020806000200500000001400038008000100c63364020600020028b900001400048008000100c000020806000200500000000500050000000000050006000000000005000700000000000800080000dd6d00
3400010020010db80000000000000000000000090064ff9b0000000000000000c0000208c6336401000493e00400232861210020
3400010020010db80000000000000000000000090064ff9b0000000000000000c0000208c63364010000ea6001c501c5e8960040
3400010020010db80000000000000000000000090064ff9b0000000000000000c0000208c6336402006ddd009c400050fd840000
2800010020010db800000000000000000000000ac6336401c0000208000493e00400879e23280020
2800010020010db800000000000000000000000ac6336401c00002080000ea600230d458d4580040
2800010020010db800000000000000000000000ac6336401c0000208006ddd009c401b7600500000
END
send "$frames.valid"
cat >"$LOGS/expected" <<'END'
ICMP,2001:db8::8,448,64:ff9b::c000:208,448,198.51.100.1,2845,192.0.2.8,2845
ICMP,2001:db8::9,453,64:ff9b::c000:208,453,198.51.100.1,59542,192.0.2.8,59542
ICMP,2001:db8::a,560,64:ff9b::c000:208,560,198.51.100.1,54360,192.0.2.8,54360
TCP,2001:db8::8,40000,64:ff9b::c000:208,80,198.51.100.2,47400,192.0.2.8,80,ESTABLISHED
TCP,2001:db8::9,40000,64:ff9b::c000:208,80,198.51.100.2,64900,192.0.2.8,80,ESTABLISHED
TCP,2001:db8::a,40000,64:ff9b::c000:208,80,198.51.100.1,7030,192.0.2.8,80,ESTABLISHED
UDP,2001:db8::8,1024,64:ff9b::c000:208,9000,198.51.100.1,43768,192.0.2.8,9000
UDP,2001:db8::9,1024,64:ff9b::c000:208,9000,198.51.100.1,24865,192.0.2.8,9000
UDP,2001:db8::a,1024,64:ff9b::c000:208,9000,198.51.100.1,34718,192.0.2.8,9000
END
has_valid() { table "$1" | grep -F ',2001:db8::' | cmp -s - "$LOGS/expected"; }
for node in A B; do
    wait_for 15 "$node has the valid sessions of all three formats" has_valid "$node"
done
say "valid records of all three formats were taken"

# A connection that is closed, and over in a millisecond, as a daemon tells it that comes too late: Jool takes
# that, and does not keep the connection as it was for two hours.
guest-lab add B 2800010020010db800000000000000000000000ac6336401c0000208000000019c401b7600500015
has_closed() { ! table B | grep -F 'TCP,2001:db8::a,'; }
wait_for 15 "the connection that is over has ended" has_closed
say "a lifetime of a millisecond ends a session"

# Longer than any timeout: such a session must not outlive its kind.
flat40 0020 ffffffff 0500 >"$frames.immortal"
send "$frames.immortal"
expiry() { at B jool session display --udp --csv --numeric --no-headers | grep -F ',2001:db8:2::66,' | cut -d, -f10; }
is_known() { [ -n "$(expiry)" ]; }
wait_for 15 "B has the session with the endless lifetime" is_known
[[ $(expiry) =~ ^0:0(5:00|4:) ]] || fail "a lifetime of ffffffff became $(expiry)"

set_arrives 3 A B
stop_joold A
stop_joold B
for reason in malformed type length layout protocol state timer address ports pool6 pool4; do
    logged B joold "stops; .*dropped: .*refused records ($reason): [1-9]" || fail "B did not count what it dropped: $reason"
done
# With a session whose mask is not in pool4, Jool would refuse every change of its settings.
at B jool global update udp-timeout 300 || fail "B's Jool refuses to be configured"
dmesg_is_silent || fail "the kernel complained"
