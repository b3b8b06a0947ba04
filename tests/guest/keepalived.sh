# shellcheck shell=bash
# For scenarios in which keepalived decides which of two nodes serves. After lib.sh, and units.sh if that is
# used:
#
#   . /scenario/guest/keepalived.sh
#   topology A B
#   start_keepalived A sA          with docs/examples/keepalived/keepalived.conf
#
# The topology is lib.sh's, except that the nodes share one IPv6 link with C and one IPv4 link with S:
#
#        2001:db8::8  C                                 S  192.0.2.8
#     2001:db8:c::1   | lan6                       lan4 |  203.0.113.8
#                     +------ eth1 A eth2 --------------+  203.0.113.2
#                     +------ eth1 B eth2 --------------+  203.0.113.3
#                                 sA | sB
#                                   sync
#
# lan is a namespace with the bridges of both links. C sends what is for $POOL6 to fe80::64, S what is for
# 198.51.100.0/24 to 203.0.113.1: who has these addresses serves.

CONFIGURATION=/scenario/docs/examples/keepalived/keepalived.conf

# lib.sh's topology calls this last: C and S get their links, and routes that stay as they are.
move_traffic_to() {
    plug C lan lan6 C6
    ip -n C addr add 2001:db8:c::1/64 dev lan
    ip -n C -6 route add "$POOL6" via fe80::64 dev lan src 2001:db8::8
    plug S lan lan4 S4
    ip -n S addr add 203.0.113.8/24 dev lan
    ip -n S route add 198.51.100.0/24 via 203.0.113.1 src 192.0.2.8
}

# node NAME NUMBER: as lib.sh's, with the three links of this topology.
node() {
    local node=$1 number=$2
    [ "$number" != 1 ] || lans
    new_namespace "$node"
    at "$node" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    plug "$node" eth1 lan6 "${node}6"
    plug "$node" eth2 lan4 "${node}4"
    sync_link "$node" "$number"
    boot_links "$node" "$number"
    NODES+=("$node")
}

# boot_links NODE NUMBER: the addresses and routes of its links, which are up then, as after a boot.
boot_links() {
    local node=$1 number=$2 link
    for link in "s$node" eth1 eth2; do ip -n "$node" link set "$link" up; done
    ip -n "$node" addr replace "fd64::$number/64" dev "s$node"
    ip -n "$node" addr replace "2001:db8:c::$((number + 1))/64" dev eth1
    ip -n "$node" addr replace "203.0.113.$((number + 1))/24" dev eth2
    ip -n "$node" -6 route replace 2001:db8::/32 via 2001:db8:c::1
    ip -n "$node" route replace 192.0.2.0/24 via 203.0.113.8
}

lans() {
    local bridge
    new_namespace lan
    for bridge in lan6 lan4; do
        ip -n lan link add "$bridge" type bridge mcast_snooping 0
        ip -n lan link set "$bridge" up
    done
}

# plug NAMESPACE INTERFACE BRIDGE PORT: a link of the namespace to a bridge of lan.
plug() {
    ip -n "$1" link add "$2" type veth peer name "$4" netns lan
    ip -n lan link set "$4" master "$3" up
    ip -n "$1" link set "$2" up
}

# cut_off NODE: from C, S and the other nodes; no link of anybody loses its carrier.
cut_off() {
    ip -n lan link set "${1}6" nomaster
    ip -n lan link set "${1}4" nomaster
    ip -n sync link set "$1" nomaster
}

reconnect() {
    ip -n sync link set "$1" master sync
    ip -n lan link set "${1}6" master lan6
    ip -n lan link set "${1}4" master lan4
}

# start_keepalived NODE NAME: keepalived of nat64-a or nat64-b, with the file for operators as it is. They
# share this guest's /run/joold; what is eth0.fitness in the file is here joold@NAME's, for one of them only.
# keepalived follows that link when it starts, so the fitness has to be there already. However busy the guest
# is, keepalived has its turn.
start_keepalived() {
    local node=$1 own=$LOGS/$1.run all=$LOGS/$1.all
    mkdir -p "$own" "$all" /run/joold
    ln -sf "$all/$2.fitness" "$own/eth0.fitness"
    start "$node" keepalived sh -c 'mount --bind /run/joold "$2" && mount --bind "$1" /run/joold && shift 2 && exec "$@"' \
        keepalived "$own" "$all" \
        chrt --rr 1 keepalived --vrrp --dont-fork --log-console --log-detail --use-file "$CONFIGURATION" \
        --config-id "nat64-${node,,}" --pid "$LOGS/$node.pid" --vrrp_pid "$LOGS/$node.vrrp-pid"
    wait_for 20 "keepalived of $node has started" logged "$node" keepalived 'Startup complete'
}

# has_addresses NODE: whether it has both addresses; no_addresses NODE: whether it has none.
has_addresses() { [ "$(addresses "$1")" = 2 ]; }
no_addresses() { [ "$(addresses "$1")" = 0 ]; }
addresses() { ip -n "$1" -o addr | grep -c -e ' fe80::64/64 ' -e ' 203\.0\.113\.1/24 '; }

# serves NODE: whether it does, and the other does not.
serves() {
    local other
    has_addresses "$1" || return 1
    for other in "${NODES[@]}"; do
        [ "$other" = "$1" ] || no_addresses "$other" || return 1
    done
}

# turns: how often any keepalived has taken over by now.
turns() { cat "$LOGS"/*.keepalived.log | grep -c ') Entering MASTER STATE' || true; }

# on_time: whether every keepalived had its turn when it was due, so that times mean something.
on_time() { ! grep -q 'timer expired' "$LOGS"/*.keepalived.log; }

# start_lives: TCP connections and UDP flows through whoever serves, whose fate is counted.
start_lives() {
    start S serve guest-lab serve
    wait_for 10 "the server listens" logged S serve serving
    start C lives guest-lab lives
    wait_for 60 "the connections are open" logged C lives 'connections are open'
    LIVES=$(tail -n 1 "$LOGS/C.lives.log")
    say "$LIVES"
}

# phase WHAT: prints how those of start_lives are since the last phase; they are in $LIVES, too.
phase() {
    forget_log C lives
    kill -USR1 "${PIDS[C.lives]}"
    wait_for 40 "the connections and flows are counted" logged C lives ' UDP flows live, '
    LIVES=$(tail -n "+${LOG_BEGINS[C.lives]}" "$LOGS/C.lives.log" | grep ' UDP flows live, ')
    say "$1: $LIVES"
}

# all_live: whether of $LIVES all live and none has another mask.
all_live() { [[ $LIVES =~ ^([0-9]+)\ of\ ([0-9]+)\ TCP.*\;\ ([0-9]+)\ of\ ([0-9]+)\ UDP.*,\ 0\ got ]] &&
    [ "${BASH_REMATCH[1]}/${BASH_REMATCH[3]}" = "${BASH_REMATCH[2]}/${BASH_REMATCH[4]}" ]; }
