# shellcheck shell=bash
# What scenarios are made of. A scenario begins with:
#
#   . /scenario/guest/lib.sh
#   topology A B
#
# and passes if it ends with exit status 0; any command that fails ends it.
#
#                    2001:db8::8                        192.0.2.8
#                        C                                  S
#          toA / toB / … | | IPv6                      IPv4 | | toA / toB / …
#                        | +---------- toC A toS -----------+ |
#                        +------------ toC B toS -------------+
#                                   sA | | sB
#                                     sync          a bridge: the sync network
#
# Each name is a network namespace. Node number i (A is 1, B is 2, …) has 10.64.0.i and fd64::i on the
# sync network, and the same pool6 ($POOL6) and pool4 (198.51.100.0/28) as all others. It is that
# large so that two nodes, of which one missed sessions of the other, hardly choose the same mask for two clients.
# C's traffic, and the answers, go through one node at a time: the first, until move_traffic_to another.
#   C  takes every address of 2001:db8:1::/64 besides its own: guest-lab … --from 2001:db8:1::1
#   S  drops UDP to ports 1024 to 65534 in silence, so that flows need no server; ping works, and below
#      1024 and for TCP a server can listen: start S serve guest-lab serve
#   sync  has 10.64.0.254 and fd64::fe, to watch and to disturb the nodes from outside:
#      ip -n sync link set A down parts A from the others, who see no lost carrier
#      at A tc qdisc add dev sA root netem loss 1% disturbs what A sends
set -euo pipefail
set -o errtrace
trap trace ERR

: "${LOGS:?the folder for logs}"
# pool6 of the instances to come.
POOL6=64:ff9b::/96
NODES=()
declare -A PIDS=() LOG_BEGINS=()

# The lines that led to a command that failed, innermost first.
trace() {
    local i
    echo "a command failed:" >&2
    for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
        echo "  ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}: $(sed -n "${BASH_LINENO[i - 1]}{s/^ *//;p}" "${BASH_SOURCE[i]}")" >&2
    done
}

fail() {
    echo "FAILED: $*" >&2
    trap - ERR
    exit 1
}

# restart_guest: ends this scenario and has it run again, with PHASE=2 in place of 1, after a restart of the
# guest. Only the disk outlives that.
restart_guest() {
    trap - ERR EXIT
    exit 194
}

# say TEXT…: progress, with the seconds since the scenario began.
say() { echo "$SECONDS s: $*"; }

# at NAMESPACE COMMAND…: runs it there.
at() { ip netns exec "$@"; }

# need PROGRAM…: fails with a sentence if the guest lacks one.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "the guest has no $program; is it built? (GUEST_BIN)"
    done
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds; fails when it has not by then.
wait_for() {
    local limit=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "after $limit s still not: $what"
        sleep 0.1
    done
}

# topology NODE…: builds everything above; each node has a Jool instance that emits its sessions.
topology() {
    local namespace number=0
    for namespace in C S sync; do
        new_namespace "$namespace"
    done
    at C sysctl -qw net.ipv6.ip_nonlocal_bind=1
    ip -n C addr add 2001:db8::8/128 dev lo
    ip -n C -6 route add local 2001:db8:1::/64 dev lo
    ip -n S addr add 192.0.2.8/32 dev lo
    ip -n S route add local 192.0.2.0/24 dev lo
    # The first rule finds local addresses; it must come second for another to take these datagrams.
    # The kernel refuses a range that ends with 65535.
    ip -n S rule add pref 20 lookup local
    ip -n S rule del pref 0
    ip -n S rule add pref 10 to 192.0.2.0/24 ipproto udp dport 1024-65534 blackhole
    # A switch that floods: nothing of what is tested depends on snooping.
    ip -n sync link add sync type bridge mcast_snooping 0
    ip -n sync addr add 10.64.0.254/24 dev sync
    ip -n sync addr add fd64::fe/64 dev sync
    ip -n sync link set sync up
    modprobe jool
    for namespace in "$@"; do
        number=$((number + 1))
        node "$namespace" "$number"
        instance "$namespace"
    done
    move_traffic_to "$1"
}

new_namespace() {
    ip netns add "$1"
    # No duplicate address detection: addresses work at once.
    at "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.default.router_solicitations=0
    ip -n "$1" link set lo up
}

# node NAME NUMBER: one more NAT64 box, with its three links, but without a Jool instance.
node() {
    local node=$1 number=$2
    new_namespace "$node"
    at "$node" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    cable C "to$node" "2001:db8:c:$number::1/64" "$node" toC "2001:db8:c:$number::2/64"
    cable S "to$node" "10.1.$number.1/24" "$node" toS "10.1.$number.2/24"
    ip -n "$node" -6 route add 2001:db8::/32 via "2001:db8:c:$number::1"
    ip -n "$node" route add 192.0.2.0/24 via "10.1.$number.1"
    sync_link "$node" "$number"
    NODES+=("$node")
}

# sync_link NODE NUMBER: the node's link to the sync network.
sync_link() {
    ip -n "$1" link add "s$1" type veth peer name "$1" netns sync
    ip -n "$1" addr add "10.64.0.$2/24" dev "s$1"
    ip -n "$1" addr add "fd64::$2/64" dev "s$1"
    ip -n "$1" link set "s$1" up
    ip -n sync link set "$1" master sync up
    wait_for 10 "the sync network forwards for $1" forwards "$1"
}

# forwards NODE: whether the sync network passes on what the node sends, which takes a moment from when its
# link is up.
forwards() { ip -n sync -details link show dev "$1" | grep 'bridge_slave state forwarding'; }

# cable NAMESPACE INTERFACE ADDRESS NAMESPACE INTERFACE ADDRESS
cable() {
    ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
    ip -n "$1" addr add "$3" dev "$2"
    ip -n "$4" addr add "$6" dev "$5"
    ip -n "$1" link set "$2" up
    ip -n "$4" link set "$5" up
}

# instance NODE [NAME]: a Jool instance with the cluster's pools and session synchronisation enabled. A
# namespace can have one, whatever its name.
# Jool 4.1.14 and newer wants pool4's ports above the ephemeral ones.
instance() {
    local protocol jool=(at "$1" jool)
    [ $# = 1 ] || jool+=(-i "$2")
    "${jool[@]}" instance add --netfilter --pool6 "$POOL6"
    for protocol in tcp udp icmp; do
        "${jool[@]}" pool4 add "--$protocol" 198.51.100.0/28 61001-65535
    done
    "${jool[@]}" global update ss-enabled true
}

# move_traffic_to NODE: what a failover does: from now on everything goes through this node.
move_traffic_to() {
    local gateway6 gateway4
    gateway6=$(ip -n "$1" -6 -o addr show dev toC scope global | sed 's/.*inet6 \([^/]*\).*/\1/')
    gateway4=$(ip -n "$1" -o addr show dev toS | sed -n 's/.*inet \([^/]*\).*/\1/p')
    ip -n C -6 route replace "$POOL6" via "$gateway6" src 2001:db8::8
    ip -n S route replace 198.51.100.0/24 via "$gateway4" src 192.0.2.8
}

# sessions NODE: how many its Jool has, of all protocols.
sessions() { at "$1" jool stats display --all | sed -n 's/^JSTAT_SESSIONS: //p'; }

has_sessions() { [ "$(sessions "$1")" = "$2" ]; }

# table NODE: its sessions, sorted, without the time that is left to them.
table() {
    local protocol
    for protocol in tcp udp icmp; do
        at "$1" jool session display "--$protocol" --csv --numeric --no-headers
    done | cut -d, -f1-9,11 | LC_ALL=C sort
}

# same_sessions NODE NODE…: succeeds if all have the same.
same_sessions() {
    local node first=$1
    table "$first" >"$LOGS/$first.table"
    for node in "${@:2}"; do
        table "$node" >"$LOGS/$node.table"
        cmp -s "$LOGS/$first.table" "$LOGS/$node.table" || return 1
    done
}

# same_sessions_within SECONDS NODE NODE…: fails, with the difference, if they still differ by then.
same_sessions_within() {
    local limit=$1 node end=$((SECONDS + $1))
    shift
    until same_sessions "$@"; do
        [ "$SECONDS" -lt "$end" ] || break
        sleep 0.1
    done
    same_sessions "$@" && return 0
    for node in "${@:2}"; do
        table "$node" >"$LOGS/$node.table"
        echo "sessions of $1 (-) and $node (+), $(wc -l <"$LOGS/$1.table") and $(wc -l <"$LOGS/$node.table"):"
        diff -U0 "$LOGS/$1.table" "$LOGS/$node.table" | tail -n +3 | head -n 20 || true
    done
    fail "after $limit s the sessions of $* still differ"
}

# new_sessions SET: opens 20 ICMP and 60 UDP sessions for client 2001:db8:1::SET. Slowly, and each with
# several packets: of a burst, 4.1.9 loses the most part before its daemon hears of it.
new_sessions() {
    at C guest-lab ping --sessions 20 --rate 20 --all --from "2001:db8:1::$1" >/dev/null
    at C guest-lab flows --sessions 60 --packets 3 --rate 60 --sockets 6 --from "2001:db8:1::$1" "${@:2}" >/dev/null
}

# have_set SET NODE…: whether all have the sessions of new_sessions SET, and the same.
have_set() {
    local node set=$1 first=''
    shift
    for node in "$@"; do
        table "$node" | grep -F ",2001:db8:1::$set," >"$LOGS/$node.set$set" || return 1
        first=${first:-$node}
        [ "$(wc -l <"$LOGS/$node.set$set")" = 80 ] && cmp -s "$LOGS/$first.set$set" "$LOGS/$node.set$set" || return 1
    done
}

# set_arrives SET NODE…: opens the sessions of that number and waits until all nodes have them.
set_arrives() {
    local end
    new_sessions "$1"
    end=$((SECONDS + 15))
    until have_set "$@"; do
        [ "$SECONDS" -lt "$end" ] || {
            (cd "$LOGS" && awk -F, '{ print FILENAME, $1 }' ./*".set$1" | sort | uniq -c)
            fail "after 15 s ${*:2} still have not the same 20 ICMP and 60 UDP sessions of set $1"
        }
        sleep 0.1
    done
}

# start NAMESPACE NAME COMMAND…: in the background, output in $LOGS/NAMESPACE.NAME.log.
start() {
    local namespace=$1 name=$2
    shift 2
    ! is_running "$namespace" "$name" || fail "$name is already running in $namespace"
    forget_log "$namespace" "$name"
    ip netns exec "$namespace" "$@" >>"$LOGS/$namespace.$name.log" 2>&1 </dev/null &
    PIDS[$namespace.$name]=$!
}

is_running() { [ -n "${PIDS[$1.$2]:-}" ] && kill -0 "${PIDS[$1.$2]}" 2>/dev/null; }

# stop NAMESPACE NAME [SIGNAL]: ends it (default TERM) and waits for its end; the exit status is in $STATUS.
stop() {
    local pid=${PIDS[$1.$2]:?not started}
    kill "-${3:-TERM}" "$pid" 2>/dev/null || true
    finished "$1" "$2"
}

# finished NAMESPACE NAME: waits for what ends by itself; the exit status is in $STATUS.
# shellcheck disable=SC2034
finished() {
    STATUS=0
    wait "${PIDS[$1.$2]:?not started}" || STATUS=$?
    unset "PIDS[$1.$2]"
}

# logged NAMESPACE NAME PATTERN: whether its output, since it was started, has a line that matches.
logged() { [ "$(tail -n "+${LOG_BEGINS[$1.$2]}" "$LOGS/$1.$2.log" | grep -c -e "$3" || true)" != 0 ]; }

# forget_log NAMESPACE NAME: from now on, logged looks at new lines only.
forget_log() {
    touch "$LOGS/$1.$2.log"
    LOG_BEGINS[$1.$2]=$(($(wc -l <"$LOGS/$1.$2.log") + 1))
}

# configuration NODE JSON: writes the daemon's file and prints its name.
configuration() {
    echo "$2" >"$LOGS/$1.json"
    echo "$LOGS/$1.json"
}

# stock_files NODE [4|6]: writes the stock daemon's two files for the sync network of that family and
# prints their names.
stock_files() {
    local node=$1 address net=$LOGS/$1.netsocket.json mod=$LOGS/$1.modsocket.json
    if [ "${2:-6}" = 6 ]; then
        printf '{ "multicast address": "%s", "multicast port": "6464", "in interface": "%s", "out interface": "%s", "reuseaddr": 1, "ttl": 1 }\n' \
            ff08::db8:64:64 "s$node" "s$node" >"$net"
    else
        address=$(ip -n "$node" -o addr show dev "s$node" | sed -n 's/.*inet \([^/]*\).*/\1/p')
        printf '{ "multicast address": "%s", "multicast port": "6464", "in interface": "%s", "out interface": "%s", "reuseaddr": 1, "ttl": 1 }\n' \
            233.252.0.64 "$address" "$address" >"$net"
    fi
    echo '{ "instance": "default" }' >"$mod"
    echo "$net" "$mod"
}

# start_stock NODE [4|6]: Debian's daemon, whichever joold comes first in PATH. It logs to the journal.
start_stock() {
    local files
    read -ra files < <(stock_files "$@")
    start "$1" stock /usr/bin/joold "${files[@]}"
    wait_for 10 "the stock daemon of $1 listens" listens "$1" 6464
    wait_for 10 "the stock daemon of $1 hears its Jool" hears_jool "$1"
}

# start_proxy NODE: the stock daemon's newer form (Jool 4.1.12 and newer).
start_proxy() {
    start "$1" stock jool session proxy --net.mcast.port=6464 \
        "--net.dev.in=s$1" "--net.dev.out=s$1" --net.ttl=1 ff08::db8:64:64
    wait_for 10 "the session proxy of $1 listens" listens "$1" 6464
    wait_for 10 "the session proxy of $1 hears its Jool" hears_jool "$1"
}

stop_stock() { stop "$1" stock; }

# listens NAMESPACE PORT: whether a UDP socket is bound to it.
listens() { [ -n "$(at "$1" ss --no-header --udp --listening --numeric "sport = :$2")" ]; }

# hears_jool NAMESPACE: whether a Generic Netlink socket there (protocol 16) is a member of a group. Before
# that, what Jool emits is lost.
hears_jool() { at "$1" grep -qE '^[0-9a-f]+ +16 +[0-9]+ +0*[1-9a-f]' /proc/net/netlink; }

# advertise NODE: the operator's command, by its old or its new name.
advertise() { at "$1" jool session advertise 2>/dev/null || at "$1" jool joold advertise; }

# dmesg_is_silent [PATTERN]: whether the kernel has had nothing to complain of since the scenario began. What
# only tells of slow emulation does not count, nor do lines that match the pattern, for instance 'nobody
# received', which Jool says of traffic while no daemon listens.
dmesg_is_silent() {
    local lines
    lines=$(dmesg --level=emerg,alert,crit,err,warn)
    [[ $lines == *"${MARK:?}"* ]] || { echo "the kernel wrote more than its log holds"; return 1; }
    lines=$(sed "1,/$MARK\$/d" <<<"$lines" | grep -vE -e "${1:-$MARK}" \
        -e 'clocksource|hrtimer: interrupt took|rcu_.*stall|hogged CPU|sched_clock|RT throttling activated|tsc: |taints kernel|tainting kernel' \
        || true)
    [ -z "$lines" ] || { printf '%s\n' "$lines"; return 1; }
}

# start_joold NODE [ARGUMENT…]: the daemon under test; by default with no file at all, on the sync link.
start_joold() {
    local node=$1
    shift
    [ $# -gt 0 ] || set -- --interface "s$node"
    start "$node" joold /scenario/bin/joold "$@"
    wait_for 20 "joold of $node is attached to Jool" logged "$node" joold 'attached to Jool'
}

stop_joold() {
    stop "$1" joold
    [ "$STATUS" = 0 ] || fail "joold of $1 ended with exit status $STATUS"
}

# cpu_ms NAMESPACE NAME: CPU time that a running process's threads have had, in milliseconds.
cpu_ms() {
    cut -d' ' -f1 "/proc/${PIDS[$1.$2]}"/task/*/schedstat | awk '{ sum += $1 } END { print int(sum / 1000000) }'
}

# empty NODE: a new instance in place of the node's, so without sessions and with default settings.
empty() {
    at "$1" jool instance remove
    instance "$1"
}

# statistics NAMESPACE PORT: the answer of a daemon's statistics socket.
statistics() { at "$1" sh -c "echo | nc -u -w 1 ::1 $2"; }
