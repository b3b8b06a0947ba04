# shellcheck shell=bash
# Enabled units over a restart of the machine: the one whose interface comes late, one with a broken file, and
# a socket that waits for a datagram.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
undo() {
    systemctl disable --quiet late-eth0 2>/dev/null
    rm -f /etc/systemd/system/late-eth0.service
    undo_machine
}

if [ "$PHASE" = 1 ]; then
    install_package
    mkdir -p /etc/jool
    jool_configuration >/etc/jool/jool.conf
    # As on a machine whose switch port, bond or tunnel takes its time.
    cat >/etc/systemd/system/late-eth0.service <<'UNIT'
[Unit]
After=joold@eth0.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sleep 5
ExecStart=/sbin/ip link add eth0 type veth peer name eth0-peer
ExecStart=/sbin/ip addr add fd64::ff/64 dev eth0 nodad
ExecStart=/sbin/ip link set eth0-peer up
ExecStart=/sbin/ip link set eth0 up
[Install]
WantedBy=multi-user.target
UNIT
    echo '{ "multicast port": 6464 }' >/etc/joold/eth0.json
    echo '{ "multicast port": ' >/etc/joold/broken.json
    echo '{ "peers": ["fd64::1"], "multicast port": 6470, "in interface": "eth0" }' >/etc/joold/on-demand.json
    systemctl enable --quiet jool late-eth0 joold@eth0.service joold@broken.service joold@on-demand.socket
    say "restarting"
    restart_guest
fi

trap purge_package EXIT
say "restarted"
wait_for 60 "joold@eth0 is up" synchronises eth0
[ "$(property eth0 NRestarts)" != 0 ] || fail "joold@eth0 started without its interface"
journalctl --quiet --no-pager --boot --unit joold@eth0 | grep -q 'there is no network interface \\*"eth0' \
    || fail "the journal does not tell that the interface was missing"
listens machine 6464 || fail "joold@eth0 does not listen on the port of its configuration"
! journalctl --quiet --no-pager --boot --unit joold@eth0 | grep -q 'an own socket is used' \
    || fail "the generator did not write the socket's port before it was opened"
is jool.service active || fail "jool.service has not made the instance"
is joold@broken.service failed || fail "joold@broken is $(property broken ActiveState)"
[ "$(property broken ExecMainStatus)" = 78 ] || fail "exit status $(property broken ExecMainStatus) in place of 78"
[ "$(property broken NRestarts)" = 0 ] || fail "a configuration that is none is tried again"
# What has failed gives systemctl an exit status of its own.
systemctl --no-pager status joold@broken >"$LOGS/broken.log" || true
grep -q 'broken\.json: line' "$LOGS/broken.log" || fail "the status does not name the broken file"
is joold@on-demand.socket active/listening || fail "joold@on-demand.socket is $(property on-demand ActiveState socket)"
listens machine 6470 || fail "joold@on-demand.socket does not listen on its port"
is joold@on-demand.service inactive || fail "joold@on-demand runs before there was a datagram"
others=$(systemctl list-units --plain --no-legend --failed | grep -v '^joold@broken.service' || true)
[ -z "$others" ] || fail "failed, too: $others"
! journalctl --quiet --no-pager --boot _PID=1 | grep -i 'ordering cycle' || fail "units wait for each other"
say "after the restart everything is as it was enabled"
