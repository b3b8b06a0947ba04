# shellcheck shell=bash
# Routing daemons decide: joold has the interface nat64 up while its node is fit, and BIRD, then FRR, announce
# what is on it. Whatever it is that makes a node unfit, its traffic goes through the other one at once, with
# the same masks, and comes back. The nodes' configurations are those for operators, docs/examples.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
need guest-lab

EXAMPLES=/scenario/docs/examples
# By then a withdrawal has moved the routes, however busy the machine; a hold time, of minutes, has not. In
# milliseconds.
LIMIT=10000

# C and S learn their routes.
move_traffic_to() { :; }
topology A B

# gate NODE: the interface that the daemon sets up and down, as docs/examples/networkd makes it.
gate() {
    ip -n "$1" link add nat64 type dummy
    at "$1" sysctl -qw net.ipv6.conf.nat64.keep_addr_on_down=1
    ip -n "$1" addr add 198.51.100.0/28 dev nat64
    ip -n "$1" addr add "$POOL6" dev nat64
    start "$1" gate ip -tshort monitor link dev nat64
}

# run_bird NAMESPACE: with the configuration in its folder.
run_bird() {
    local folder=$LOGS/$1.bird
    start "$1" bird bird -f -c "$folder/bird.conf" -s "$folder/control" -P "$folder/pid"
}

# router NAMESPACE FAMILY ADDRESS NODE_A NODE_B: has BIRD learn routes of that family from both nodes. BFD is
# slow with whoever is slow: the nodes' half a second is too little here.
router() {
    local neighbour neighbours='' folder=$LOGS/$1.bird
    for neighbour in "$4" "$5"; do
        neighbours+="protocol bgp { local as 64500; neighbor $neighbour as 64512; bfd on;
            connect delay time 1; error wait time 1, 1; $2 { import all; export none; }; }"$'\n'
    done
    mkdir -p "$folder"
    cat >"$folder/bird.conf" <<CONFIGURATION
log stderr { info, warning, error, fatal };
router id 192.0.2.1;
protocol device {}
protocol bfd { interface "*" { interval 400 ms; multiplier 5; }; }
protocol kernel { $2 { import none; export filter { krt_prefsrc = $3; accept; }; }; }
$neighbours
CONFIGURATION
    run_bird "$1"
}

start_bird() {
    local node number=0
    for node in A B; do
        number=$((number + 1))
        mkdir -p "$LOGS/$node.bird"
        cp "$EXAMPLES/bird/bird.conf" "$LOGS/$node.bird/"
        printf 'define %s = %s;\n' ROUTER_ID "10.1.$number.2" METRIC "${number}00" IPV4_ROUTER "10.1.$number.1" \
            IPV6_ROUTER "2001:db8:c:$number::1" >"$LOGS/$node.bird/node.conf"
        run_bird "$node"
    done
}

stop_bird() { for node in A B; do stop "$node" bird; done; }

# A's configuration is the file as it is; B's has what the file says that is another node's own.
start_frr() {
    local node
    for node in A B; do
        mkdir -p "/etc/frr/$node"
        sed 's/^\(bgpd\|bfdd\)=no/\1=yes/' /etc/frr/daemons >"/etc/frr/$node/daemons"
        touch "/etc/frr/$node/vtysh.conf"
        cp "$EXAMPLES/frr/frr.conf" "/etc/frr/$node/"
    done
    sed -i 's/ 10\.1\.1\./ 10.1.2./; s/ 2001:db8:c:1:/ 2001:db8:c:2:/; s/metric 100/metric 200/' /etc/frr/B/frr.conf
    for node in A B; do
        chown -R frr:frr "/etc/frr/$node"
        at "$node" /usr/lib/frr/frrinit.sh start "$node" >"$LOGS/$node.frr.log" 2>&1 </dev/null
    done
}

stop_frr() { for node in A B; do at "$node" /usr/lib/frr/frrinit.sh stop "$node" >/dev/null 2>&1 || true; done; }

undo() {
    stop_frr
    rm -rf /etc/frr/[AB] /etc/joold/s[AB].json
} 2>/dev/null

# via NODE: whether both routes go through it; both_announce: whether there is a second choice for both;
# nowhere: whether there is no route.
via() {
    ip -n C -6 route show exact "$POOL6" | grep -q "dev to$1 " \
        && ip -n S route show exact 198.51.100.0/28 | grep -q "dev to$1 "
}
both_announce() {
    local namespace
    for namespace in C S; do
        [ "$(birdc -s "$LOGS/$namespace.bird/control" show route | grep -c 'via .* on to[AB]')" = 2 ] || return 1
    done
}
nowhere() {
    [ -z "$(ip -n C -6 route show exact "$POOL6")$(ip -n S route show exact 198.51.100.0/28)" ]
}

# moment NAMESPACE NAME PATTERN: when ip monitor first said something that matches, in milliseconds.
moment() {
    local line
    line=$(tail -n "+${LOG_BEGINS[$1.$2]}" "$LOGS/$1.$2.log" | grep -m 1 -e "$3" || true)
    line=${line#[}
    date -d "${line%%]*}" +%s%3N
}

# moves NODE WHAT COMMAND…: has the command move the traffic there, and says how long that took.
moves() {
    local to=$1 what=$2 from=A began last=0 moment gate namespace
    shift 2
    [ "$to" = A ] || from=B
    for namespace in C S; do forget_log "$namespace" routes; done
    for namespace in A B; do forget_log "$namespace" gate; done
    began=$(date +%s%3N)
    "$@"
    wait_for 30 "$what: the routes go through $to" via "$to"
    for namespace in C S; do
        moment=$(moment "$namespace" routes "^[^D]*dev to$to ")
        [ "$moment" -le "$last" ] || last=$moment
    done
    if [ "$to" = A ]; then gate=$(moment A gate ',UP'); else gate=$(moment A gate 'state DOWN'); fi
    say "$what: the gate of A after $((gate - began)) ms, both routes through $to $((last - gate)) ms later"
    [ $((last - gate)) -le "$LIMIT" ] || fail "that is more than $LIMIT ms"
}

is_fit() { jooldctl -i "s$1" fit; }

# start_lives: TCP connections and UDP flows through whoever serves, whose fate is counted.
start_lives() {
    start C lives guest-lab lives --chatty 50 --idle 50 --udp 20
    wait_for 60 "the connections are open" logged C lives 'connections are open'
}

# go_on WHAT: fails unless all of them live, each with the mask that it had.
go_on() {
    local lives
    forget_log C lives
    kill -USR1 "${PIDS[C.lives]}"
    wait_for 40 "the connections and flows are counted" logged C lives ' UDP flows live, '
    lives=$(tail -n "+${LOG_BEGINS[C.lives]}" "$LOGS/C.lives.log" | grep ' UDP flows live, ')
    say "$1: $lives"
    [[ $lives =~ ^50\ of\ 50\ TCP.*\;\ 20\ of\ 20\ UDP.*,\ 0\ got ]] || fail "$1: not all go on"
}

stop_lives() {
    stop C lives
    say "$(grep '^TCP: ' "$LOGS/C.lives.log" | tail -n 1)"
    [ "$STATUS" = 0 ] || fail "not all connections and flows went on with their masks"
}

install_package
for node in A B; do
    gate "$node"
    echo '{ "gate interface": "nat64" }' >"/etc/joold/s$node.json"
    unit_in "$node" "s$node"
done
router C ipv6 2001:db8::8 2001:db8:c:1::2 2001:db8:c:2::2
router S ipv4 192.0.2.8 10.1.1.2 10.1.2.2
start C routes ip -tshort -6 monitor route
start S routes ip -tshort -4 monitor route
start S serve guest-lab serve
start_bird
nowhere || fail "something is announced before any node is fit"
systemctl start joold@sA joold@sB
for node in A B; do wait_for 30 "$node is fit" is_fit "$node"; done
wait_for 30 "both nodes announce" both_announce
wait_for 10 "the routes go through A" via A
start_lives
go_on "BIRD, both nodes are fit"

# --- BIRD.
translates() { at "$1" jool global update manually-enabled "$2"; }
drained() { jooldctl -i sA drain >/dev/null; }
moves B "Jool of A is paused" translates A false
go_on "through B"
moves A "and works again" translates A true
moves B "A is drained" drained
moves A "and is not any more" jooldctl -i sA undrain
moves B "the daemon of A is stopped" systemctl stop joold@sA
moves A "and started" systemctl start joold@sA
go_on "through A"
for namespace in C S; do forget_log "$namespace" routes; done
pid=$(property sA MainPID)
systemctl kill --signal KILL joold@sA
wait_for 30 "joold@sA runs again" another_process sA "$pid"
wait_for 30 "A is fit" is_fit A
! logged C routes . && ! logged S routes . || fail "a daemon that is killed, and started again, takes the traffic from its node"
go_on "the daemon of A was killed"
moves B "A has no Jool" at A jool instance remove
go_on "through B"
moves A "A has a Jool" instance A
go_on "through A"

# Nothing tells the gate: it is for the neighbours to find out.
links_lose() { for link in toC toS; do at A tc qdisc "$1" dev "$link" root netem loss 100%; done; }
began=$(date +%s%3N)
links_lose add
wait_for 30 "the routes go through B" via B
say "the links of A are cut: both routes through B after $(($(date +%s%3N) - began)) ms"
links_lose del
wait_for 30 "the routes go through A" via A
go_on "through A"

# Unlike with VRRP, there is no route at all then.
for node in B A; do translates "$node" false; done
wait_for 10 "nothing is announced" nowhere
for node in A B; do translates "$node" true; done
wait_for 30 "both nodes announce" both_announce
wait_for 10 "the routes go through A" via A
say "no node is fit: there is no route; and then there is"
stop_lives
stop_bird
wait_for 10 "nothing is announced" nowhere

# --- FRR.
start_frr
wait_for 90 "both nodes announce" both_announce
wait_for 10 "the routes go through A" via A
start_lives
moves B "FRR: Jool of A is paused" translates A false
go_on "through B"
moves A "and works again" translates A true
moves B "A is drained" drained
go_on "through B"
moves A "and is not any more" jooldctl -i sA undrain
stop_lives

# A Jool whose daemon was stopped has its queue of 512 records again, and session sync on, as it was found.
dmesg_is_silent 'nobody received|Too many sessions deferred|lacks an instance' || fail "the kernel complained"
