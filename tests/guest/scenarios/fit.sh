# shellcheck shell=bash
# What tells that this machine is fit to translate, and whom: jooldctl, the file, the gate interface (made by
# systemd-networkd), joold-fit@ with a service that depends on it, keepalived with a script, and Pacemaker. Whatever happens, none of them
# says that a node is fit when it is not, nor for longer than a daemon that hangs takes to be replaced. The
# configurations are those for operators, docs/examples.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh

EXAMPLES=/scenario/docs/examples
AGENT=/usr/lib/ocf/resource.d/test/nat64

topology B
undo() {
    mount -o remount,size=20% /run
    rm -f /run/filler
    systemctl stop served joold-fit@eth0 systemd-networkd.socket systemd-networkd
    systemctl stop pacemaker corosync
    rm -rf "${AGENT%/*}" /var/lib/pacemaker/cib/* /etc/systemd/system/joold-fit* /etc/systemd/system/*/joold-fit* \
        /etc/systemd/network/nat64.* /etc/sysctl.d/nat64.conf /etc/joold/eth0.json /run/systemd/system/served.service*
    ip link del nat64
    undo_machine
} 2>/dev/null
trap purge_package EXIT
machine
install_package

# --- The gate, as networkd makes it.
cp "$EXAMPLES"/networkd/nat64.net* /etc/systemd/network/
cp "$EXAMPLES/networkd/nat64.conf" /etc/sysctl.d/
systemctl start systemd-networkd
has_addresses() { [ "$(ip -o address show dev nat64 | grep -c -e ' 198\.51\.100\.0/28 ' -e ' 64:ff9b::/96 ')" = 2 ]; }
wait_for 20 "nat64 has its addresses" has_addresses
gate_is_up() { [ -n "$(ip -o link show dev nat64 up)" ]; }
! gate_is_up || fail "networkd has set nat64 up"

# --- A service that runs while this node is fit.
printf '%s\n' "[Service]" "ExecStart=/bin/sleep infinity" >/run/systemd/system/served.service
# A node may change its mind more often than a service may be started.
drop_in served.service joold "[Unit]" "BindsTo=joold-fit@eth0.service" "After=joold-fit@eth0.service" "StartLimitIntervalSec=0"
echo '{ "gate interface": "nat64" }' >/etc/joold/eth0.json
unit_in B sB
systemctl enable --quiet joold@eth0 joold-fit@eth0
# Started whenever joold-fit@ is: BindsTo= stops it only.
systemctl --quiet add-wants joold-fit@eth0.service served.service 2>/dev/null

# says_fit: who does.
says_fit() {
    local file who=''
    ! jooldctl -i eth0 fit >/dev/null 2>&1 || who+=' jooldctl'
    file=$(cat /run/joold/eth0.fitness 2>/dev/null || true)
    [ "${file:-0}" -le 0 ] || who+=' file'
    ! gate_is_up || who+=' gate'
    ! is joold-fit@eth0.service active || who+=' joold-fit@'
    ! is served.service active || who+=' served'
    echo "$who"
}
ALL=' jooldctl file gate joold-fit@ served'
all_say() { [ "$(says_fit)" = "${1-$ALL}" ]; }

# unfit WHAT COMMAND…: has the command make this node unfit, which all shall tell, and go on telling.
unfit() {
    local what=$1 began
    shift
    began=$(date +%s%3N)
    "$@"
    wait_for 15 "$what: nobody says that this node is fit" all_say ''
    began=$(($(date +%s%3N) - began))
    sleep 1
    all_say '' || fail "$what: after a while these say that this node is fit:$(says_fit)"
    say "$what: nobody says that this node is fit, after $began ms"
}

# fit WHAT COMMAND…: has the command make this node fit.
fit() {
    local what=$1 began
    shift
    began=$(date +%s%3N)
    "$@"
    wait_for 30 "$what: all say that this node is fit" all_say
    say "$what: all say that this node is fit, after $(($(date +%s%3N) - began)) ms"
}

unfit "before the first start" true
systemctl start joold@sB
fit "the daemon is started" systemctl start joold@eth0

# --- keepalived with the script for operators, and what it makes of it.
cat >"$LOGS/keepalived.conf" <<CONF
global_defs {
    vrrp_version 3
}
include $EXAMPLES/keepalived/script.conf
vrrp_instance nat64 {
    state BACKUP
    interface eth0
    virtual_router_id 64
    priority 90
    virtual_ipaddress {
        203.0.113.1/24
    }
    track_script {
        joold
    }
}
CONF
keepalived --vrrp --dont-fork --log-console --log-detail --use-file "$LOGS/keepalived.conf" \
    --pid /run/keepalived-fit.pid --vrrp_pid /run/keepalived-fit-vrrp.pid >"$LOGS/keepalived.log" 2>&1 &
KEEPALIVED=$!
# script_says PRIORITY: whether that is what the script has made of the priority by now.
script_says() { grep 'hanging effective priority' "$LOGS/keepalived.log" | tail -n 1 | grep -q "to $1\$"; }
wait_for 30 "keepalived's script says that this node is fit" script_says 190

# --- The daemon.
unfit "the daemon is stopped" systemctl stop joold@eth0
is joold@eth0.service inactive || fail "something starts a daemon that was stopped"
fit "it is started" systemctl start joold@eth0
served=$(systemctl show --value --property MainPID served)
pid=$(property eth0 MainPID)
kill -KILL "$pid"
wait_for 30 "joold@eth0 runs again" another_process eth0 "$pid"
wait_for 30 "all say that this node is fit" all_say
systemctl restart joold@eth0
wait_for 30 "all say that this node is fit" all_say
[ "$(systemctl show --value --property MainPID served)" = "$served" ] || fail "a restart of the daemon ends what depends on it"
say "a kill and a restart take the traffic from nobody"
pid=$(property eth0 MainPID)
began=$(date +%s%3N)
kill -STOP "$pid"
! jooldctl -i eth0 fit >/dev/null 2>&1 || fail "jooldctl says that a node is fit whose daemon hangs"
wait_for 30 "keepalived's script says that this node is not fit" script_says 90
wait_for 30 "the daemon that hangs is replaced" another_process eth0 "$pid"
wait_for 30 "all say that this node is fit" all_say
wait_for 30 "keepalived's script says that this node is fit" script_says 190
kill "$KEEPALIVED"
wait "$KEEPALIVED" || true
say "a daemon that hangs is replaced; all say that this node is fit, after $(($(date +%s%3N) - began)) ms"

# --- Jool.
paused() { jool global update manually-enabled "$1"; }
pool4() { for protocol in tcp udp icmp; do jool pool4 "$1" "--$protocol" 198.51.100.0/28 61001-65535; done; }
unfit "Jool is paused" paused false
fit "it works again" paused true
unfit "pool4 is empty" pool4 remove
fit "it is not any more" pool4 add
unfit "Jool is removed" systemctl stop jool
fit "it is back" systemctl start jool
drained() { jooldctl -i eth0 drain >/dev/null; }
unfit "the node is drained" drained
unfit "and its daemon restarted" systemctl restart joold@eth0
fit "it is not drained any more" jooldctl -i eth0 undrain
# Two operators, or one script for all machines.
for _ in 1 2 3; do
    jooldctl -i eth0 drain --timeout 3s >/dev/null 2>&1 &
    other=$!
    jooldctl -i sB drain --timeout 3s >/dev/null 2>&1 || true
    wait "$other" || true
    [ "$(cat /run/joold/eth0.fitness)$(cat /run/joold/sB.fitness)" != -1-1 ] || fail "two nodes are drained at once"
    jooldctl -i sB undrain
    fit "two were drained at once, and not both are" jooldctl -i eth0 undrain
done

# --- The folder.
full() {
    mount -o remount,size=$(($(df --output=used -k /run | tail -n 1) + 64))k /run
    ! dd if=/dev/zero of=/run/filler bs=4k 2>/dev/null || fail "/run is not full"
}
full
wait_for 10 "all say that this node is fit" all_say
unfit "/run is full, and Jool is paused" paused false
paused true
rm /run/filler
mount -o remount,size=20% /run
fit "/run has room" true
mv /run/joold /run/joold.away
wait_for 15 "who needs the folder takes this node for not fit" all_say ' jooldctl gate'
tells() { jooldctl -i eth0 status | grep -q 'cannot be written'; }
wait_for 10 "jooldctl status tells that the folder is gone" tells
say "the folder is gone: still fit are:$(says_fit)"
unfit "and Jool is paused" paused false
paused true
rm -r /run/joold.away
systemd-tmpfiles --create joold.conf
fit "the folder is back" systemctl restart joold@eth0

# --- Pacemaker, with a cluster of one node, Debian's configuration of corosync.
cp "$EXAMPLES/pacemaker/joold-fit-pacemaker@.service" /etc/systemd/system/
systemctl enable --quiet joold-fit-pacemaker@eth0
mkdir -p "${AGENT%/*}"
cat >"$AGENT" <<'AGENT'
#!/bin/sh
case $1 in
meta-data) echo '<resource-agent name="nat64" version="1"><actions><action name="start" timeout="20"/><action name="stop" timeout="20"/><action name="monitor" timeout="20"/></actions></resource-agent>' ;;
start) touch /run/nat64-serves ;;
stop) rm -f /run/nat64-serves ;;
monitor) [ -e /run/nat64-serves ] || exit 7 ;;
esac
AGENT
chmod +x "$AGENT"
systemctl start pacemaker
attribute_is() { attrd_updater -n joold-fit -Q | grep -q "value=\"$1\""; }
wait_for 90 "Pacemaker is told that this node is fit" attribute_is 1
cibadmin -C -o resources -X '<primitive id="nat64" class="ocf" provider="test" type="nat64"/>'
cibadmin -C -o constraints -x "$EXAMPLES/pacemaker/location.xml"
crm_attribute -n stonith-enabled -v false
crm_verify -L -V
serves() { [ -e /run/nat64-serves ]; }
wait_for 60 "this node serves" serves
paused false
wait_for 20 "Pacemaker is told that this node is not fit" attribute_is 0
paused true
wait_for 20 "Pacemaker is told that this node is fit" attribute_is 1
say "Pacemaker is told"

# with HERE THERE NODE: whether Pacemaker has the resource on that node, node1 or node2, if joold-fit is that on
# this one and the other.
with() {
    local cib=$LOGS/cib.xml
    crm_simulate -L -S -u node2 -O "$cib" >/dev/null
    CIB_file=$cib crm_attribute -N node1 -l reboot -n joold-fit -v "$1" >/dev/null
    [ "$2" = unknown ] || CIB_file=$cib crm_attribute -N node2 -l reboot -n joold-fit -v "$2" >/dev/null
    crm_simulate -x "$cib" -S >"$LOGS/simulated.log"
    sed '1,/Revised Cluster Status/d' "$LOGS/simulated.log" | grep -q "nat64.*Started $3" \
        || { cat "$LOGS/simulated.log"; fail "with joold-fit $1 here and $2 there nat64 is not on $3"; }
}
with 1 0 node1
with 0 1 node2
with 1 unknown node1
with 0 unknown node1
with 0 0 node1
paused false
wait_for 20 "Pacemaker is told that this node is not fit" attribute_is 0
crm_resource --wait
serves || fail "the only node does not serve because it is not fit"
paused true
say "Pacemaker prefers who is fit, and has somebody serve in any case"

dmesg_is_silent 'nobody received|lacks an instance' || fail "the kernel complained"
