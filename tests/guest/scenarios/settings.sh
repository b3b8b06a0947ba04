# shellcheck shell=bash
# The daemon sets in Jool what session synchronisation needs, sets it again when somebody changes it, and
# leaves it alone if it is told to.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B

# setting NODE NAME: its value.
setting() { at "$1" jool global display --csv | sed -n "s/^[^a-z]*$2,//p"; }
is_set() { grep -qix "$3" <<<"$(setting "$1" "$2")"; }

for node in A B; do
    at "$node" jool global update ss-enabled false
done
for node in A B; do
    start_joold "$node"
    wait_for 10 "$node logs that it enabled SS" logged "$node" joold 'set in Jool:.*ss-enabled from 0 to 1'
    is_set "$node" ss-enabled true || fail "$node's SS is $(setting "$node" ss-enabled)"
    is_set "$node" ss-capacity 65536 || fail "$node's ss-capacity is $(setting "$node" ss-capacity)"
done
set_arrives 1 A B
say "both enabled session synchronisation, and sessions arrive"

# repaired NODE SETTING: waits until the daemon has logged that it set it again, and checks that it did.
repaired() {
    wait_for 15 "$1 logs that it set $2 again" logged "$1" joold "set again:.*$2"
    is_set "$1" ss-enabled true || fail "$1's SS is $(setting "$1" ss-enabled)"
    is_set "$1" ss-capacity 65536 || fail "$1's ss-capacity is $(setting "$1" ss-capacity)"
    say "$1 set $2 again"
}
for node in A B; do
    forget_log "$node" joold
    at "$node" jool global update ss-enabled false
done
repaired A 'ss-enabled from 0 to 1'
repaired B 'ss-enabled from 0 to 1'
set_arrives 2 A B

forget_log A joold
at A jool global update ss-flush-deadline 2000
at A jool global update ss-capacity 512
wait_for 15 "A logs that it set ss-flush-deadline again" logged A joold 'set again:.*ss-flush-deadline from'
repaired A 'ss-capacity from 512 to 65536'
set_arrives 3 A B

# An operator's file that says nothing about session synchronisation.
pool4='{ "protocol": "PROTOCOL", "prefix": "198.51.100.ADDRESS/32", "port range": "61001-65535" }'
entries=''
for protocol in TCP UDP ICMP; do
    for address in 1 2; do
        entry=${pool4/PROTOCOL/$protocol}
        entries+="${entries:+, }${entry/ADDRESS/$address}"
    done
done
echo "{ \"instance\": \"default\", \"framework\": \"netfilter\", \"global\": { \"pool6\": \"$POOL6\" }, \"pool4\": [ $entries ] }" \
    >"$LOGS/jool.json"
# Only a file's own instance can be changed by a file.
for node in A B; do
    at "$node" jool instance remove
    at "$node" jool file handle "$LOGS/jool.json"
done
wait_for 15 "A is attached to the file's instance" is_set A ss-enabled true
wait_for 15 "B is attached to the file's instance" is_set B ss-enabled true
set_arrives 4 A B
forget_log A joold
at A jool file handle "$LOGS/jool.json"
repaired A 'ss-enabled from 0 to 1'
set_arrives 5 A B

# A timeout counts from a session's last packet: one that is raised lets sessions that are there live longer, on
# the node that they came from as on the one that was told of them.
longest_left() {
    at "$1" jool session display --udp --csv --numeric --no-headers | cut -d, -f10 |
        awk -F: '{ left = $1 * 3600 + $2 * 60 + $3; if (left > most) most = left } END { print int(most) }'
}
for node in A B; do
    left=$(longest_left "$node")
    [ "$left" -gt 0 ] && [ "$left" -le 300 ] || fail "a UDP session of $node has $left s left, of 300 at most"
done
for node in A B; do at "$node" jool global update udp-timeout 900; done
# Until its daemon has noticed, a node is given what the other one says as if the timeout were the old one.
lives_longer() { [ "$(longest_left "$1")" -gt 600 ]; }
for node in A B; do
    wait_for 20 "a UDP session of $node has more than 600 s left, of 900" lives_longer "$node"
done
set_arrives 6 A B
for node in A B; do
    left=$(longest_left "$node")
    [ "$left" -gt 600 ] && [ "$left" -le 900 ] || fail "a UDP session of $node has $left s left, of 900 at most"
    at "$node" jool global update udp-timeout 300
done
say "timeouts count from the last packet"
stop_joold A
stop_joold B

# Not to be managed.
at B jool global update ss-enabled false
files=$(configuration B '{ "in interface": "sB", "manage jool": false, "jool wait": 0 }')
start B unmanaged joold "$files"
finished B unmanaged
[ "$STATUS" = 69 ] || fail "unmanaged and with SS off, the exit status is $STATUS"
logged B unmanaged 'jool -i default global update ss-enabled true' || fail "the command is not named"
is_set B ss-enabled false || fail "B enabled SS although it was told not to"
at B jool global update ss-enabled true
at B jool global update ss-flush-deadline 1000
start_joold A
start_joold B "$files"
set_arrives 7 A B
is_set B ss-flush-deadline 1000 || is_set B ss-flush-deadline 0:00:01 || fail "B's ss-flush-deadline is $(setting B ss-flush-deadline)"
say "unmanaged, B leaves the settings alone"
stop_joold A
stop_joold B

# Every length that a pool6 can have, with 192.0.2.8 embedded.
while read -r POOL6 server; do
    for node in A B; do
        empty "$node"
        start_joold "$node"
    done
    move_traffic_to A
    at C guest-lab flows --sessions 20 --packets 3 --rate 60 --sockets 4 --from 2001:db8:1::1 --to "$server"
    has_sessions A 20 || fail "pool6 $POOL6: A has $(sessions A) sessions instead of 20"
    same_sessions_within 15 A B
    say "pool6 $POOL6: sessions arrive"
    stop_joold A
    stop_joold B
done <<'END'
fd46::/32 fd46:0:c000:208::
fd46::/40 fd46:0:c0:2:8::
fd46::/48 fd46:0:0:c000:2:800::
fd46::/56 fd46:0:0:c0:0:208::
fd46::/64 fd46::c0:2:800:0
fd46::/96 fd46::c000:208
END
# Jool says so of every acknowledgement until the daemon has looked at the settings again, and of the one
# that finds the instance gone.
dmesg_is_silent 'Session sync is disabled|lacks an instance named' || fail "the kernel complained"
