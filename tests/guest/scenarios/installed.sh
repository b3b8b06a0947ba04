# shellcheck shell=bash
# What an administrator does on a machine with Jool: installs the package, starts the unit, looks at it with
# systemd's tools and with jooldctl, changes it while it runs; and what a user may not do. The bus and the
# journal go away, and sessions do not mind.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
need guest-lab
topology B
undo() {
    pkill -CONT -x systemd-journal
    rm -f /etc/polkit-1/rules.d/50-joold-test.rules
    systemctl start dbus.socket dbus.service
    undo_machine
}
trap purge_package EXIT
machine
name=mx.jool.Joold1.eth0

# --- Two commands, as in the README.
apt-get -qq install -y "$PACKAGE" >"$LOGS/apt.log" 2>&1 || fail "apt cannot install the package"
systemctl enable --quiet --now joold@eth0
synchronises eth0 || fail "joold@eth0 is not up: $(property eth0 StatusText)"
unit_in B sB
systemctl start joold@sB
set_arrives 1 B machine
say "two commands, and the sessions of another node are here"

# --- What there is to see.
# shows PATTERN COMMAND…: whether its output has a line that matches.
shows() {
    local pattern=$1
    shift
    "$@" >"$LOGS/shown.log" 2>&1 || fail "exit status $? of: $*"
    grep -q -e "$pattern" "$LOGS/shown.log" || fail "\"$pattern\" is not to be seen in: $*"
}
shows 'Status: "synced, fit, 80 sessions in Jool ' systemctl --no-pager status joold@eth0
shows 'Active: active (running)' systemctl --no-pager status joold@eth0
shows '^s "synced"$' busctl get-property $name /mx/jool/Joold1 mx.jool.Joold1 State
shows '^t 80$' busctl get-property $name /mx/jool/Joold1 mx.jool.Joold1 Sessions
shows '^\.Reload  *method' busctl --no-pager introspect $name /mx/jool/Joold1
shows '^\.LogLevel  *property' busctl --no-pager introspect $name /org/freedesktop/LogControl1
shows 'State: synced for' jooldctl -i eth0 status
shows 'fd64::1' jooldctl -i eth0 peers
shows '● joold@sB' jooldctl status
shows 'attached to Jool' journalctl --no-pager -u joold@eth0
shows 'Subject: Sessions are synchronised from now on' journalctl --no-pager -x -u joold@eth0
shows 'attached to Jool' journalctl --no-pager MESSAGE_ID=dfd6dbe990a94a169e1004b3aaf7e4ea
shows 'guest is there' journalctl --no-pager JOOLD_PEER=guest
# A live view, in a terminal and for programs.
timeout 5 script --quiet --command 'stty rows 24 columns 80; exec jooldctl -i eth0 watch' /dev/null >"$LOGS/watch.log" 2>&1 </dev/null || true
[ "$(grep -c $'\e\\[H\e\\[K.*joold@eth0: ' "$LOGS/watch.log")" -ge 2 ] || fail "jooldctl watch does not draw anew"
for pattern in 'State: .*synced for' 'Received: .*records/s in' 'Dropped: ' 'fd64::1'; do
    grep -q -e "$pattern" "$LOGS/watch.log" || fail "\"$pattern\" is not to be seen in jooldctl watch"
done
[ "$(timeout 20 jooldctl watch --json | head -n 2 | grep -c '"Rates":')" = 2 ] || fail "jooldctl watch has no rates for programs"
say "systemctl, busctl, journalctl and jooldctl show it"

# --- Log level.
quiet() {
    local since
    since=$(timestamp)
    systemctl reload joold@eth0
    ! said_since "$since" eth0 .
}
! quiet || fail "a reload is not logged at level info"
jooldctl -i eth0 log-level err >/dev/null
shows '^err$' systemctl service-log-level joold@eth0
quiet || fail "a reload is logged at level err"
systemctl service-log-level joold@eth0 debug
shows '^debug$' jooldctl -i eth0 log-level
! quiet || fail "a reload is not logged at level debug"
jooldctl -i eth0 log-level info >/dev/null
say "the log level changes at run time"

# --- Reload.
echo '{ "multicast port": 0, "ttl": 999, "in interface": "nowhere", "nonsense": 1 }' >/etc/joold/eth0.json
for command in "systemctl reload joold@eth0" "jooldctl -i eth0 reload"; do
    since=$(timestamp)
    ! $command >"$LOGS/reload.log" 2>&1 || fail "a configuration that is none is taken by $command"
    for key in '"multicast port"' '"ttl"' '"nowhere"' '"nonsense"'; do
        said_since "$since" eth0 "$key" || fail "the journal does not tell of $key"
    done
done
for key in '"multicast port"' '"ttl"' '"nowhere"' '"nonsense"'; do
    grep -qF "$key" "$LOGS/reload.log" || fail "jooldctl reload does not tell of $key"
done
shows 'nonsense' jooldctl -i eth0 status
synchronises eth0 || fail "joold@eth0 is not up after a reload that was refused"
set_arrives 2 B machine
echo '{ "ttl": 2, "flush interval": 15 }' >/etc/joold/eth0.json
systemctl reload joold@eth0
! jooldctl -i eth0 status | grep -q nonsense || fail "problems stay after a good reload"
set_arrives 3 B machine
say "a reload is all or nothing, and tells every problem"

# --- A user without privileges.
as_nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"; }
# refused_to_nobody COMMAND…
refused_to_nobody() {
    local status=0
    as_nobody "$@" >"$LOGS/nobody.log" 2>&1 || status=$?
    [ "$status" != 0 ] || fail "anybody may: $*"
    ! [ "$1" = jooldctl ] || [ "$status" = 77 ] || fail "exit status $status in place of 77 of: $*"
}
as_nobody jooldctl -i eth0 status >"$LOGS/nobody.log" || fail "nobody may not look at the status"
as_nobody jooldctl -i eth0 peers >/dev/null || fail "nobody may not look at the peers"
as_nobody busctl get-property $name /mx/jool/Joold1 mx.jool.Joold1 Counters >/dev/null || fail "nobody may not look"
since=$(timestamp)
refused_to_nobody jooldctl -i eth0 reload
refused_to_nobody jooldctl -i eth0 advertise
refused_to_nobody jooldctl -i eth0 log-level debug
refused_to_nobody busctl call $name /mx/jool/Joold1 mx.jool.Joold1 Reload
refused_to_nobody busctl set-property $name /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug
refused_to_nobody systemctl reload joold@eth0
! said_since "$since" eth0 'read the configuration again' || fail "nobody has reloaded the configuration"
shows '^info$' jooldctl -i eth0 log-level
echo 'polkit.addRule(function(action, subject) {
    if (action.id == "mx.jool.joold1.reload" && subject.user == "nobody") return polkit.Result.YES;
});' >/etc/polkit-1/rules.d/50-joold-test.rules
chmod 644 /etc/polkit-1/rules.d/50-joold-test.rules
wait_for 20 "nobody may reload by a rule of polkit's" as_nobody jooldctl -i eth0 reload
refused_to_nobody jooldctl -i eth0 advertise
say "everybody may look; root, and whom polkit allows to, may change"

# --- The bus.
pid=$(property eth0 MainPID)
on_bus() { busctl status "$1"; }
same_process() { [ "$(property eth0 MainPID)" = "$pid" ] && is joold@eth0.service active/running; }
systemctl restart dbus.service
wait_for 60 "joold@eth0 is on the bus again" on_bus $name
wait_for 60 "joold@sB is on the bus again" on_bus mx.jool.Joold1.sB
same_process || fail "joold@eth0 did not outlive the bus"
systemctl reload joold@eth0
systemctl stop dbus.socket dbus.service
set_arrives 4 B machine
same_process || fail "joold@eth0 did not outlive the bus"
systemctl restart joold@eth0
synchronises eth0 || fail "joold@eth0 does not start without a bus"
set_arrives 5 B machine
systemctl start dbus.socket dbus.service
wait_for 60 "joold@eth0 is on the bus that came after it" on_bus $name
say "the bus restarts, is missing, and comes back"

# --- A journal that takes nothing: its socket is full.
pid=$(property eth0 MainPID)
peer=$(property sB MainPID)
journald=$(systemctl show --value --property MainPID systemd-journald)
kill -STOP "$journald"
perl -MSocket -MFcntl -e '
    my (@sockets, $sent);
    do {
        socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
        connect($socket, sockaddr_un("/run/systemd/journal/socket")) or die "connect: $!";
        fcntl($socket, F_SETFL, O_NONBLOCK) or die "fcntl: $!";
        push @sockets, $socket;
        $sent = 0;
        $sent++ while send($socket, "MESSAGE=filler\n", 0);
    } while ($sent && @sockets < 100);
    exit(@sockets < 2 || $sent);' || fail "the journal's socket cannot be filled"
for _ in 1 2 3 4 5; do
    kill -HUP "$pid" "$peer"
    sleep 0.2
done
set_arrives 6 B machine
jooldctl -i eth0 status >/dev/null || fail "joold@eth0 does not answer while the journal is stalled"
kill -CONT "$journald"
[ "$(property eth0 MainPID) $(property sB MainPID)" = "$pid $peer" ] || fail "a daemon did not outlive the journal"
since=$(timestamp)
systemctl reload joold@eth0
wait_for 20 "joold@eth0 logs again" said_since "$since" eth0 'read the configuration again'
say "a journal that takes nothing keeps nobody waiting"

# The machine itself sent its traffic nowhere while it was no node.
dmesg_is_silent 'nobody received' || fail "the kernel complained"
