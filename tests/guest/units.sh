# shellcheck shell=bash
# For scenarios that run the daemon as systemd does, from the package. After lib.sh:
#
#   . /scenario/guest/units.sh
#   install_package
#   unit_in A sA                          joold@sA in the namespace A
#   systemctl start joold@sA

PACKAGE=/scenario/joold.deb

# Of what is under test only the package, and nothing that was built beside it.
mkdir -p "$LOGS/bin"
ln -sf /scenario/bin/guest-lab "$LOGS/bin/"
PATH=$LOGS/bin:${PATH#/scenario/bin:}

# undo: what a scenario itself has to put back.
undo() { :; }

# Leaves no unit and no package behind, however the scenario ends.
purge_package() {
    local status=$?
    trap - EXIT ERR
    set +e
    [ "$status" = 0 ] || systemctl --no-pager --lines=20 status 'joold@*' 2>&1 | cut -c1-200
    systemctl disable --quiet $(systemctl list-unit-files --no-legend 'joold@?*' | cut -d' ' -f1) 2>/dev/null
    systemctl stop 'joold@*.service' 'joold@*.socket'
    rm -rf /run/systemd/system/joold@*
    dpkg --purge joold >/dev/null 2>&1
    undo
    systemctl daemon-reload
    systemctl reset-failed
    exit "$status"
}

# install_package: that, or the same again, which is an upgrade.
install_package() {
    [ -f "$PACKAGE" ] || fail "the guest has no package; is it built? (tests/package)"
    trap purge_package EXIT
    dpkg -i "$PACKAGE" >"$LOGS/dpkg.log" 2>&1 || { cat "$LOGS/dpkg.log"; fail "the package cannot be installed"; }
}

# drop_in UNIT NAME LINE…: into the unit's folder; to be followed by systemctl daemon-reload.
drop_in() {
    local folder=/run/systemd/system/$1.d file=$2.conf
    shift 2
    mkdir -p "$folder"
    printf '%s\n' "$@" >"$folder/$file"
}

# unit_in NODE NAME: joold@NAME is to run in the node's namespace.
unit_in() {
    drop_in "joold@$2.service" namespace "[Service]" "NetworkNamespacePath=/run/netns/$1"
    drop_in "joold@$2.socket" namespace "[Socket]" "NetworkNamespacePath=/run/netns/$1"
    systemctl daemon-reload
}

# property NAME PROPERTY [service|socket]: of joold@NAME.
property() { systemctl show --value --property "$2" "joold@$1.${3:-service}"; }

# is UNIT STATE: whether the unit's state, with or without the substate, is that: active, active/running, …
is() {
    local state
    state=$(systemctl show --value --property ActiveState "$1")
    [ "$state" = "$2" ] || [ "$state/$(systemctl show --value --property SubState "$1")" = "$2" ]
}

# status_is NAME PATTERN: whether the status line of joold@NAME matches.
status_is() { grep -q -e "$2" <<<"$(property "$1" StatusText)"; }

# synchronises NAME: whether joold@NAME is up and has a Jool.
synchronises() { is "joold@$1.service" active/running && status_is "$1" ' sessions in Jool '; }

# another_process NAME PID: whether joold@NAME runs again, in another process than that.
another_process() { synchronises "$1" && [ "$(property "$1" MainPID)" != "$2" ]; }

# journal_has NAME PATTERN: whether anything was said by or about joold@NAME since the scenario began.
journal_has() {
    journalctl --quiet --no-pager --output=cat --since "@$BEGAN" --unit "joold@$1.service" | grep -q -e "$2"
}
BEGAN=$(date +%s)

# said_since TIME NAME PATTERN: whether joold@NAME itself logged that since then.
said_since() {
    journalctl --quiet --no-pager --output=cat --since "$1" --unit "joold@$2.service" --identifier joold \
        | grep -q -e "$3"
}

# timestamp: for said_since.
timestamp() { date '+%F %T.%6N'; }

# --- This machine itself as a node, beside those that are namespaces.

# machine: gives it eth0, on the sync network, and an instance that jool.service makes.
machine() {
    machine_link
    mkdir -p /etc/jool
    jool_configuration >/etc/jool/jool.conf
    systemctl start jool
}

# machine_link: its link to the sync network, under the name eth0.
machine_link() {
    ip link add eth0 type veth peer name machine netns sync
    ip addr add fd64::ff/64 dev eth0 nodad
    ip link set eth0 up
    ip -n sync link set machine master sync up
    wait_for 10 "the sync network forwards for this machine" forwards machine
}

# jool_configuration: what jool.service is to make, the same instance as on all nodes.
jool_configuration() {
    local protocol entries=''
    for protocol in TCP UDP ICMP; do
        entries+="${entries:+, }{ \"protocol\": \"$protocol\", \"prefix\": \"198.51.100.0/28\", \"port range\": \"61001-65535\" }"
    done
    echo "{ \"instance\": \"default\", \"framework\": \"netfilter\", \"global\": { \"pool6\": \"$POOL6\" }, \"pool4\": [ $entries ] }"
}

# undo_machine: without any of that, whichever of it there is.
undo_machine() {
    systemctl disable --quiet --now jool
    rm -f /etc/jool/jool.conf
    ip link del eth0
} 2>/dev/null

# at NAMESPACE COMMAND…: as lib.sh's, and at machine: here.
at() {
    if [ "$1" = machine ]; then
        shift
        "$@"
    else
        ip netns exec "$@"
    fi
}

# A client's number, for traffic that has sessions of its own.
CLIENT=100
# under_traffic WHAT COMMAND…: runs it while sessions are opened through A, 100 a second, each with one packet,
# so that nothing repeats a record that is lost. Fails if B misses any afterwards.
under_traffic() {
    local what=$1 before opened
    shift
    before=$(sessions A)
    CLIENT=$((CLIENT + 1))
    # More than the slowest machine lasts; they are cut short.
    start C flows guest-lab flows --sessions 60000 --rate 100 --sockets 20 --from "2001:db8:1::$CLIENT"
    wait_for 20 "the traffic has begun" more_sessions A "$((before + 100))"
    "$@"
    is_running C flows || fail "the traffic ended too early"
    wait_for 60 "the traffic goes on" more_sessions A "$(($(sessions A) + 300))"
    stop C flows
    own_sessions A >"$LOGS/A.own"
    opened=$(wc -l <"$LOGS/A.own")
    [ "$opened" -ge 400 ] || fail "A has only $opened sessions of the traffic"
    # 4.1.9 has no queue beyond one packet, so it loses records whenever the daemon is slow to answer. They
    # are found when the tables are compared, which is every 30 s with such a Jool.
    wait_for 150 "the $opened sessions opened meanwhile are on B" misses_none
    say "$what: of $opened sessions opened meanwhile B misses none"
}

own_sessions() { table "$1" | grep -F ",2001:db8:1::$CLIENT,"; }

misses_none() {
    own_sessions B | LC_ALL=C comm -23 "$LOGS/A.own" - >"$LOGS/missing"
    [ ! -s "$LOGS/missing" ]
}

more_sessions() { [ "$(sessions "$1")" -ge "$2" ]; }
