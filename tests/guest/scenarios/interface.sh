# shellcheck shell=bash
# The sync interface of a node goes down and up, and is deleted and made anew, while the daemon runs.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B

set=0
for family in 6 4; do
    for node in A B; do
        read -ra files < <(stock_files "$node" "$family")
        start_joold "$node" "${files[@]}"
    done
    move_traffic_to A
    set_arrives "$((set += 1))" A B

    # Going down takes the IPv6 addresses with it.
    ip -n B link set sB down
    new_sessions "$((set += 1))"
    ! have_set "$set" B || fail "sessions arrive over an interface that is down"
    ip -n B link set sB up
    ip -n B addr replace fd64::2/64 dev sB
    wait_for 10 "the sync network forwards for B" forwards B
    set_arrives "$((set += 1))" A B
    move_traffic_to B
    set_arrives "$((set += 1))" A B
    say "IPv$family: B's interface went down and up: sessions arrive in both directions"

    forget_log B joold
    ip -n B link del sB
    wait_for 15 "B logs that its interface is lost" logged B joold 'sB.* is lost\|10.64.0.2.* is lost'
    # What cannot be sent is dropped, and ends nothing.
    new_sessions "$((set += 1))"
    is_running B joold || fail "B's daemon is gone"
    sync_link B 2
    wait_for 15 "B logs that its interface is back" logged B joold 'is back and in use again'
    set_arrives "$((set += 1))" A B
    move_traffic_to A
    set_arrives "$((set += 1))" A B
    say "IPv$family: B's interface was deleted and made anew: sessions arrive in both directions"

    # At once, so that the daemon may see no more than the new one.
    forget_log B joold
    ip -n B link del sB
    sync_link B 2
    wait_for 15 "B logs that its interface is back" logged B joold 'is back and in use again'
    set_arrives "$((set += 1))" A B
    move_traffic_to B
    set_arrives "$((set += 1))" A B
    say "IPv$family: B's interface was replaced at once: sessions arrive in both directions"
    stop_joold A
    stop_joold B
    empty A
    empty B
done
dmesg_is_silent || fail "the kernel complained"
