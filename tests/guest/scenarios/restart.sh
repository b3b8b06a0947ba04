# shellcheck shell=bash
# Either daemon is killed, stopped and started again under traffic: sessions opened after that arrive.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
start_joold A
start_joold B
set_arrives 1 A B

set=1
for node in A B; do
    for signal in KILL TERM; do
        # 50 flows, each with a packet every second or so, all the while.
        start C flows guest-lab flows --sessions 50 --packets 600 --rate 50 --sockets 5 --source-port 30000
        stop "$node" joold "$signal"
        case $signal in KILL) expected=137 ;; *) expected=0 ;; esac
        [ "$STATUS" = "$expected" ] || fail "upon SIG$signal $node's daemon ended with exit status $STATUS"
        new_sessions "$((set += 1))"
        start_joold "$node"
        set_arrives "$((set += 1))" A B
        is_running C flows || fail "the traffic ended too early"
        stop C flows
        say "$node's daemon ended upon SIG$signal and was started again: new sessions arrive"
    done
done

# Both at once, and the traffic takes the other way. From empty tables, because what one missed of the
# other above may have masks that it then gives to other clients.
stop A joold KILL
stop B joold KILL
empty A
empty B
start_joold A
start_joold B
move_traffic_to B
set_arrives "$((set += 1))" A B
say "after both were killed, sessions of B arrive at A"
stop_joold A
stop_joold B
# Jool says so of packets that are translated while no daemon runs.
dmesg_is_silent 'nobody received' || fail "the kernel complained"
