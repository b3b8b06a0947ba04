# shellcheck shell=bash
# The package's units: two nodes as systemd runs them lose no session over restarts, kills and an upgrade;
# what is stopped stays so; a datagram starts the service; a daemon that hangs is replaced.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
need guest-lab
topology A B
install_package
unit_in A sA
unit_in B sB

# --- With no file at all.
[ -z "$(find /etc/joold -type f)" ] || fail "the package has a configuration"
systemctl start joold@sA joold@sB
for name in sA sB; do
    synchronises "$name" || fail "joold@$name has started and is not up: $(property "$name" StatusText)"
    is "joold@$name.socket" active/running || fail "joold@$name's socket is not open"
    [ "$(property "$name" User)" = joold ] || fail "joold@$name is not of the user joold"
    [ "$(property "$name" NFileDescriptorStore)" = 1 ] || fail "systemd keeps nothing for joold@$name"
done
set_arrives 1 A B
for name in sA sB; do
    busctl status "mx.jool.Joold1.$name" >/dev/null || fail "joold@$name is not on the bus"
    busctl introspect --no-pager "mx.jool.Joold1.$name" /mx/jool/Joold1 mx.jool.Joold1 >/dev/null
done
[ "$(systemctl service-log-level joold@sA)" = info ] || fail "the log level is $(systemctl service-log-level joold@sA)"
systemctl service-log-level joold@sA debug
systemctl service-log-level joold@sA info
say "two instances in two namespaces: $(property sA StatusText)"

# --- Nothing is lost.
kill_main() {
    local pid
    pid=$(property "$1" MainPID)
    kill -KILL "$pid"
    wait_for 30 "joold@$1 runs again" another_process "$1" "$pid"
}
for name in sA sB; do
    under_traffic "restart of joold@$name" systemctl restart "joold@$name"
    synchronises "$name" || fail "joold@$name is not up after a restart"
    under_traffic "kill -9 of joold@$name" kill_main "$name"
done
# Each time with other settings of the network, so that sockets are opened anew.
reload_all() {
    local hops
    for hops in 2 3 1; do
        for name in sA sB; do
            echo "{ \"ttl\": $hops }" >"/etc/joold/$name.json"
            systemctl reload "joold@$name"
        done
    done
    rm /etc/joold/sA.json /etc/joold/sB.json
}
before="$(property sA MainPID) $(property sB MainPID)"
under_traffic "reloads" reload_all
[ "$(property sA MainPID) $(property sB MainPID)" = "$before" ] || fail "a reload is a restart"
under_traffic "upgrade" install_package
another_process sA "${before% *}" || fail "the upgrade has not restarted joold@sA"
another_process sB "${before#* }" || fail "the upgrade has not restarted joold@sB"

# --- Stopped is stopped.
systemctl enable --quiet joold@sB
systemctl stop joold@sB
status_is sB '^stopped$' || fail "of a stopped joold@sB systemd shows: $(property sB StatusText)"
# setting NAME: of B's Jool, as a fresh one has it or as joold needs it.
setting() { at B jool global display --csv | sed -n "s/^[^a-z]*$1,//p"; }
[ "$(setting ss-capacity)" = 512 ] || fail "a stopped joold@sB leaves ss-capacity at $(setting ss-capacity)"
grep -qi true <<<"$(setting ss-enabled)" || fail "a stopped joold@sB switches off what was on: $(setting ss-enabled)"
systemctl disable --quiet joold@sB
new_sessions 2
is joold@sB.service inactive || fail "joold@sB is not stopped while its peer sends"
is joold@sB.socket inactive || fail "joold@sB's socket stays open after a stop"
! listens B 6400 || fail "something listens on joold@sB's port after a stop"
at B jool global update ss-enabled false
systemctl start joold@sB
wait_for 30 "joold@sB runs" synchronises sB
[ "$(setting ss-capacity)" = 65536 ] || fail "joold@sB has left ss-capacity at $(setting ss-capacity)"
grep -qi true <<<"$(setting ss-enabled)" || fail "joold@sB has left session sync off"
systemctl restart joold@sB
grep -qi true <<<"$(setting ss-enabled)" || fail "a restart of joold@sB switches session sync off"
systemctl stop joold@sB
grep -qi false <<<"$(setting ss-enabled)" || fail "a stopped joold@sB leaves session sync on, which was off"
systemctl start joold@sB
set_arrives 3 A B
say "a stop closes the socket, too, lasts, and leaves Jool as it was found"

# --- A datagram starts the service.
systemctl stop joold@sA joold@sB
echo '{ "peers": ["fd64::2"], "multicast port": 6464, "in interface": "sA" }' >/etc/joold/sA.json
echo '{ "peers": ["fd64::1"], "multicast port": 6464 }' >/etc/joold/sB.json
systemctl daemon-reload
systemctl enable --quiet --now joold@sB.socket
listens B 6464 || fail "the socket does not listen on the configuration's port"
is joold@sB.service inactive || fail "joold@sB runs before there was a datagram"
systemctl start joold@sA
new_sessions 4
wait_for 30 "a datagram starts joold@sB" synchronises sB
set_arrives 5 A B
! journal_has sB 'an own socket is used' || fail "joold@sB did not take the unit's socket"
say "a datagram starts the service, on the port of its configuration"
echo '{ "peers": ["fd64::1"], "multicast port": 6465 }' >/etc/joold/sB.json
systemctl daemon-reload
systemctl restart joold@sB.socket
wait_for 30 "joold@sB runs with its new socket" synchronises sB
listens B 6465 || fail "joold@sB's socket has not moved to the port of the changed configuration"
! listens B 6464 || fail "joold@sB's socket is still on the old port"
! journal_has sB 'an own socket is used' || fail "joold@sB did not take the unit's moved socket"
echo '{ "peers": ["fd64::1"], "multicast port": 6465, "flush interval": 15 }' >/etc/joold/sB.json
systemctl reload joold@sB
journal_has sB 'read the configuration again' || fail "joold@sB did not read its configuration again"
echo '{ "multicast port": "x" }' >/etc/joold/sB.json
! systemctl reload joold@sB 2>/dev/null || fail "a reload takes a configuration that is none"
journal_has sB '"multicast port"' || fail "the journal does not say what is wrong"
echo '{ "peers": ["fd64::1"], "multicast port": 6465, "in interface": "nowhere" }' >/etc/joold/sB.json
! systemctl reload joold@sB 2>/dev/null || fail "a reload takes an interface that is not there"
journal_has sB '"nowhere"' || fail "the journal does not say which interface is missing"
synchronises sB || fail "joold@sB is not up after a reload that was refused"
say "a restart of the socket unit takes a changed port over"
systemctl disable --quiet joold@sB.socket
systemctl stop joold@sA joold@sB
wait_for 10 "the disabled socket is closed" is joold@sB.socket inactive
rm /etc/joold/*.json
systemctl daemon-reload

# --- What is not acceptable is not tried again; what may change is.
echo '{ "port": 1 }' >/etc/joold/sA.json
! systemctl start joold@sA 2>/dev/null || fail "joold@sA started with a configuration that is none"
is joold@sA.service failed || fail "joold@sA did not fail"
[ "$(property sA ExecMainStatus)" = 78 ] || fail "exit status $(property sA ExecMainStatus) in place of 78"
[ "$(property sA NRestarts)" = 0 ] || fail "a configuration that is none is tried again"
journal_has sA '"port"' || fail "the journal does not say what is wrong"
is joold@sA.socket inactive || fail "joold@sA's socket stays open"
rm /etc/joold/sA.json
ip -n A link set sA down
ip -n A link set sA name away
systemctl start --no-block joold@sA
tried_again() { [ "$(property "$1" NRestarts)" != 0 ]; }
wait_for 60 "joold@sA is tried again" tried_again sA
wait_for 10 "the status of joold@sA tells which interface is missing" status_is sA '"sA"'
ip -n A link set away name sA
ip -n A addr replace fd64::1/64 dev sA
ip -n A link set sA up
wait_for 30 "joold@sA starts when its interface is there" synchronises sA
journal_has sA 'status=71' || fail "a missing interface is not exit status 71"
say "exit statuses tell systemd what to try again"

# --- Jool comes and goes.
drop_in joold@sB.service start "[Service]" "TimeoutStartSec=5s"
systemctl daemon-reload
at B jool instance remove
systemctl start --no-block joold@sB
wait_for 20 "joold@sB waits for Jool" status_is sB '^waiting for Jool'
sleep 8
is joold@sB.service activating || fail "joold@sB is not waiting any more: $(property sB Result)"
instance B
wait_for 20 "joold@sB has its instance" synchronises sB
set_arrives 6 A B
at B jool instance remove
wait_for 20 "joold@sB notices" status_is sB '^waiting for Jool'
is joold@sB.service active/running || fail "joold@sB ended with its Jool"
instance B
wait_for 20 "joold@sB has its instance again" synchronises sB
set_arrives 7 A B
say "Jool is waited for, longer than TimeoutStartSec, and may go and come"

# --- The watchdog.
drop_in joold@sB.service watchdog "[Service]" "WatchdogSec=4s" "TimeoutAbortSec=1s"
systemctl daemon-reload
systemctl restart joold@sB
pid=$(property sB MainPID)
kill -STOP "$pid"
wait_for 60 "systemd replaces a daemon that hangs" another_process sB "$pid"
journal_has sB 'Watchdog timeout' || fail "it was not the watchdog"
set_arrives 8 A B
say "a daemon that hangs is replaced"

# --- An interface with a dot in its name.
systemctl stop joold@sA joold@sB
cable A sync.64 fd65::1/64 B sync.65 fd65::2/64
unit_in A sync.64
unit_in B sync.65
systemctl start joold@sync.64 joold@sync.65
set_arrives 9 A B
busctl status mx.jool.Joold1.sync_2e64 >/dev/null || fail "joold@sync.64 is not on the bus"
jooldctl -i sync.64 status | grep -q 'State: [sajd]' || fail "jooldctl does not find sync.64"
systemctl reload joold@sync.64
journal_has sync.64 'read the configuration again' || fail "joold@sync.64 was not reloaded"
systemctl stop joold@sync.64 joold@sync.65
say "names with dots"

dmesg_is_silent 'nobody received' || fail "the kernel complained"
