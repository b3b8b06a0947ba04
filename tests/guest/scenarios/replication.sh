# shellcheck shell=bash
# Every session at every node, whatever the network, the daemons and the kernel's queue do. What is
# promised within a time is printed with the time that it took; what fails the scenario is that it does
# not come about at all.
. /scenario/guest/lib.sh
need guest-lab joold tc
topology A B

# What the statistics line at the end of a daemon's log counts: sent_records NODE
sent_records() { sed -n 's/.*stops; .* records from Jool, \([0-9]*\) sent .*/\1/p' "$LOGS/$1.joold.log" | tail -n 1; }

# lifetimes NODE: of each session the identity and what is left to it, in milliseconds.
lifetimes() {
    at "$1" jool session display --udp --csv --numeric --no-headers |
        awk -F, '{ n = split($10, t, /[:.]/); ms = 0
                   if (n == 4) ms = ((t[1] * 60 + t[2]) * 60 + t[3]) * 1000 + t[4]; else ms = -1
                   print $2 "," $3 "," $8 "," $9, ms }' | LC_ALL=C sort
}

milliseconds() { date +%s%3N; }

# all_there COUNT NODE…: waits until each has so many sessions, says how long that took from now on, and
# compares them.
all_there() {
    local count=$1 began node
    began=$(milliseconds)
    shift
    for node in "$@"; do
        wait_for 150 "$node has $count sessions (it has $(sessions "$node"))" has_sessions "$node" "$count"
    done
    took=$(($(milliseconds) - began))
    same_sessions_within 60 "$@"
}

# fresh: both nodes without a session, and their daemons started.
fresh() {
    local node
    for node in "$@"; do
        ! is_running "$node" joold || stop_joold "$node"
        empty "$node"
    done
    for node in "$@"; do start_joold "$node"; done
    for node in "$@"; do wait_for 20 "$node is synced" logged "$node" joold 'synced: nothing'; done
}

# Coalescing.
fresh A B
at C guest-lab flows --sessions 10 --packets 2000 --rate 2000
all_there 10 A B
join -j 1 <(lifetimes A) <(lifetimes B) |
    awk '{ d = $2 - $3; if (d < 0) d = -d; if (d > most) most = d; n++ }
         END { print n " lifetimes differ by at most " most " ms"; exit !(n == 10 && most < 12000) }' ||
    fail "the standby's lifetimes are more than a refresh window away: $(lifetimes A) / $(lifetimes B)"
stop_joold A
records=$(sent_records A)
say "10 flows of 2,000 packets: $records records on the wire"
[ "$records" -le 200 ] || fail "$records records"

# Loss, reordering and duplicates.
for loss in 1 5 20; do
    fresh A B
    for node in A B; do
        at "$node" tc qdisc add dev "s$node" root netem loss "$loss%" delay 2ms 1ms reorder 25% duplicate 1% limit 100000
    done
    at C guest-lab flows --sessions 50000 --rate 10000
    all_there "$(sessions A)" B
    say "50,000 sessions, $loss % lost, reordered and repeated: all $(sessions B) there $took ms after the traffic ended"
    for node in A B; do at "$node" tc qdisc del dev "s$node" root; done
done

# A daemon is down for 1 s of 6: the standby's, the active's.
for down in B A; do
    role=$([ "$down" = A ] && echo active || echo standby)
    fresh A B
    at C guest-lab flows --sessions 6000 --rate 1000 &
    traffic=$!
    sleep 2
    stop "$down" joold KILL
    sleep 1
    start_joold "$down"
    wait "$traffic"
    all_there "$(sessions A)" B
    say "the $role's daemon was down for 1 s of 6: all $(sessions B) there $took ms after the traffic ended"
done

# The link is cut for 5 s.
fresh A B
at C guest-lab flows --sessions 8000 --rate 1000 &
traffic=$!
sleep 1
ip -n sync link set B down
sleep 5
ip -n sync link set B up
wait_for 10 "the sync network forwards for B" forwards B
wait "$traffic"
all_there "$(sessions A)" B
say "the link was cut for 5 s: all $(sessions B) there $took ms after the traffic ended"

# The kernel's queue overflows, because it is small and the daemon is held up.
for node in A B; do stop_joold "$node"; empty "$node"; done
start_joold A "$(configuration A '{ "in interface": "sA", "queue capacity": 512, "flush interval": 1000 }')"
start_joold B
wait_for 20 "B is synced" logged B joold 'synced: nothing'
kill -STOP "${PIDS[A.joold]}"
at C guest-lab flows --sessions 20000 --rate 0
kill -CONT "${PIDS[A.joold]}"
all_there "$(sessions A)" B
say "A's queue overflowed: all $(sessions B) there $took ms later"
if [[ $(at A jool --version) == *4.1.13* ]]; then
    dropped=$(at A jool stats display --all | sed -n 's/^JSTAT_JOOLD_SSS_ENOSPC: //p')
    say "Jool dropped $dropped records"
    wait_for 10 "A tells that the tables were compared" logged A joold 'compared the tables'
fi

# An empty node joins under traffic.
fresh A B
at C guest-lab flows --sessions 50000 --rate 0
all_there "$(sessions A)" B
node D 4
instance D
at C guest-lab flows --sessions 500 --packets 20 --rate 500 --from 2001:db8:1::99 --source-port 40000 &
traffic=$!
# What a 4.1.9 drops, which it does not count, is found every 30 s.
limit=$([[ $(at A jool --version) == *4.1.13* ]] && echo 10 || echo 90)
at C guest-lab latency --times 8 --burst 1 --port 4000 --limit "$limit" >"$LOGS/lag" &
latency=$!
began=$(milliseconds)
start_joold D
wait_for 120 "D is synced" logged D joold 'synced: nothing'
wait "$traffic" "$latency"
joined=$(sed -n 's/.*\(joined: .*\)/\1/p' "$LOGS/D.joold.log" | tail -n 1)
all_there "$(sessions A)" B D
say "D $joined; it is synced, and has all $(sessions D) sessions; meanwhile new sessions reached B: $(cat "$LOGS/lag")"
stop_joold D

# A stock node in the group.
for node in A B; do stop_joold "$node"; empty "$node"; done
mkdir -p /etc/dbus-1/system.d
cp /scenario/dbus/mx.jool.Joold1.conf /etc/dbus-1/system.d/
busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
empty D
read -ra files < <(stock_files A)
start_joold A "${files[@]}"
read -ra files < <(stock_files B)
start_joold B "${files[@]}"
start_stock D
new_sessions 5
have_set_all() { have_set 5 A B D; }
wait_for 120 "the stock node has what ours announced" have_set_all
move_traffic_to D
set_arrives 6 A B D
say "a stock node in the group gave and took every session"

# What a Jool of 4.1.9 emitted, with a mask of this group: a stock daemon there sends it as it is. The stock
# daemon with 4.1.13 cannot read it; ours do, and tell it when they are asked to.
frame=8c000180200001801400010020010db8000000000000000000000008060002000004000020000280140001000064ff9b0000000000000000c000020806000200282300001400038008000100c6336401060002004dee00001400048008000100c0000208060002002823000005000500010000000500060000000000050007000000000008000800e0930400
at sync guest-lab send-frame --group ff08::db8:64:64 --port 6464 --interface sync "$frame"
has_frame() { table "$1" | grep -qF 'UDP,2001:db8::8,1024,64:ff9b::c000:208,9000,198.51.100.1,61005,192.0.2.8,9000'; }
for node in A B; do wait_for 20 "$node has the session of a 4.1.9" has_frame "$node"; done
at A /scenario/bin/jooldctl -i A.netsocket advertise
wait_for 20 "the stock node has the session of a 4.1.9" has_frame D
rm /etc/dbus-1/system.d/mx.jool.Joold1.conf
set_arrives 7 A B D
say "a session from a 4.1.9 is at all three, and the stock node gives and takes as before"
stop_stock D
dmesg_is_silent 'Too many sessions deferred|nobody received|lacks an instance named' || fail "the kernel complained"
