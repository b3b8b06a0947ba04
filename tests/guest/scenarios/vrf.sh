# shellcheck shell=bash
# The sync interface of a node is in a VRF, is moved into another and out of it, while the daemon runs.
# B's daemon has no CAP_NET_RAW, as from the unit.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
need guest-lab
topology A B
set=0
ip -n A addr add fe80::64:1/64 dev sA nodad
for vrf in "blue 100" "red 101"; do
    read -r name table <<<"$vrf"
    ip -n B link add "$name" type vrf table "$table"
    ip -n B link set "$name" up
done

# move_to VRF|none: B's interface, which loses its IPv6 addresses by that.
move_to() {
    if [ "$1" = none ]; then ip -n B link set sB nomaster; else ip -n B link set sB master "$1"; fi
    address_b
}

address_b() {
    ip -n B addr replace fd64::2/64 dev sB nodad
    ip -n B addr replace fe80::64:2/64 dev sB nodad
    # A may look for it where it was.
    ip -n A neigh flush dev sA
    wait_for 20 "A reaches B over IPv6" at A ping -q -c 1 -W 1 fd64::2
}

# arrives: opens a session, or goes on with it, and says whether both nodes have it.
arrives() {
    local node client=2001:db8:1::$set
    at C guest-lab flows --sessions 1 --packets 3 --rate 10 --sockets 1 --from "$client"
    for node in A B; do table "$node" | grep -F ",$client," || return 1; done
}

# both_ways WHAT: sessions arrive in both directions.
both_ways() {
    local node
    for node in A B; do
        move_traffic_to "$node"
        set=$((set + 1))
        wait_for 30 "$1: a session through $node is on both nodes" arrives
    done
    say "$1: sessions arrive in both directions"
}

# start_both JSON_A JSON_B
start_both() {
    start_joold A "$(configuration A "$1")"
    start B joold setpriv --bounding-set=-net_raw /scenario/bin/joold "$(configuration B "$2")"
    wait_for 20 "joold of B is attached to Jool" logged B joold 'attached to Jool'
}

stop_both() {
    stop_joold A
    stop_joold B
    empty A
    empty B
}

group() { echo "{ \"multicast address\": \"$1\", \"in interface\": \"$2\", \"out interface\": \"$2\" }"; }
peer() { echo "{ \"peers\": [\"$1\"], \"in interface\": \"$2\" }"; }
statistics_of_b() { at sync sh -c 'echo | nc -u -w 1 fd64::2 6401' | grep KERNEL_SENT_PKTS; }
in_vrf() { logged B joold "the interface $1 is in the VRF $2, so the socket is bound to the interface"; }

# works_in_vrf WHAT INTERFACE JSON_A JSON_B: with B's interface in the VRF blue.
works_in_vrf() {
    start_both "$3" "$4"
    both_ways "$1"
    in_vrf "$2" blue || fail "B does not say that $2 is in a VRF"
    stop_both
}

# --- From the start.
move_to blue
works_in_vrf "IPv4 peers, by the interface's address" 10.64.0.2 \
    "$(peer 10.64.0.2 10.64.0.1)" "$(peer 10.64.0.1 10.64.0.2)"
works_in_vrf "IPv6 peers, by the interface's address" fd64::2 "$(peer fd64::2 fd64::1)" "$(peer fd64::1 fd64::2)"
works_in_vrf "link-local peers" sB "$(peer fe80::64:2 sA)" "$(peer fe80::64:1 sB)"
works_in_vrf "a link-local group" sB "$(group ff02::6a6f:6f6c sA)" "$(group ff02::6a6f:6f6c sB)"
works_in_vrf "peers, by the VRF's name" blue "$(peer 10.64.0.2 sA)" "$(peer 10.64.0.1 blue)"

# --- Elsewhere, while the daemon runs.
moves() {
    start_both "$2" "$3"
    both_ways "$1 in a VRF"
    wait_for 5 "B says that its interface is in a VRF" in_vrf sB blue
    move_to none
    wait_for 5 "B says that its interface is in none" logged B joold 'the interface sB is in no VRF'
    both_ways "$1, moved out"
    move_to red
    wait_for 5 "B says that its interface is in another" in_vrf sB red
    both_ways "$1, moved into another"
    forget_log B joold
    ip -n B link del sB
    wait_for 15 "B says that its interface is lost" logged B joold 'sB is lost'
    sync_link B 2
    move_to blue
    wait_for 5 "B says that its interface is in the first" in_vrf sB blue
    both_ways "$1, made anew"
    stop_both
}
moves "an IPv6 group" "$(group ff15::6a6f:6f6c sA)" "$(group ff15::6a6f:6f6c sB)"
moves "an IPv4 group" "$(group 233.252.0.64 sA)" "$(group 233.252.0.64 sB)"
moves "IPv4 peers" "$(peer 10.64.0.2 sA)" "$(peer 10.64.0.1 sB)"
moves "IPv6 peers" "$(peer fd64::2 sA)" "$(peer fd64::1 sB)"

# --- An address that another VRF has, too, is not this node itself.
ip -n B link add dummy type dummy
ip -n B link set dummy master red up
ip -n B addr add 10.64.0.1/24 dev dummy
works_in_vrf "a peer whose address another VRF has" sB "$(peer 10.64.0.2 sA)" "$(peer 10.64.0.1 sB)"

# --- In words, before it runs.
file=$(configuration B "$(group 233.252.0.64 sB)")
at B /scenario/bin/jooldctl check "$file" | grep -q 'the interface sB is in the VRF blue' \
    || fail "jooldctl check does not tell of the VRF"
file=$(configuration B '{ "in interface": "sB", "out interface": "toC" }')
if at B /scenario/bin/joold "$file" 2>"$LOGS/differ"; then fail "joold starts with interfaces of two VRFs"; fi
grep -q 'sB is in the VRF blue, so the socket is bound to it and cannot send to the group on toC' "$LOGS/differ" \
    || fail "of interfaces in two VRFs joold says: $(cat "$LOGS/differ")"

# --- Statistics are given in the VRF that the address is in.
start_both "$(peer fd64::2 sA)" \
    '{ "peers": ["fd64::1"], "in interface": "sB", "statistics address": "[fd64::2]:6401" }'
wait_for 10 "statistics are given over the VRF" statistics_of_b
stop_both

# --- The socket that systemd hands over, which keeps what it was bound to for as long as the unit is up.
install_package
unit_in B sB
rm -f /etc/joold/sB.json
start_joold A --interface sA
move_to none
systemctl start joold@sB
synchronises sB || fail "joold@sB does not run"
both_ways "systemd's socket, in no VRF"
for vrf in blue red none; do
    move_to "$vrf"
    both_ways "systemd's socket, moved to $vrf"
    systemctl restart joold@sB
    both_ways "systemd's socket, restarted in $vrf"
done
! journal_has sB 'an own socket is used' || fail "a move takes another socket"
move_to blue
ip -n B link del sB
sync_link B 2
move_to blue
both_ways "systemd's socket, whose interface was made anew"
journal_has sB 'an own socket is used' || fail "nobody says that systemd's socket is of no use"
since=$(timestamp)
systemctl restart joold@sB
both_ways "systemd's socket, whose interface was made anew, after a restart"
said_since "$since" sB 'an own socket is used' || fail "after a restart nobody says that systemd's socket is of no use"
since=$(timestamp)
systemctl restart joold@sB.socket
systemctl start joold@sB
both_ways "systemd's socket, made anew"
! said_since "$since" sB 'an own socket is used' || fail "a new socket is of no use"
stop_joold A
dmesg_is_silent || fail "the kernel complained"
