# shellcheck shell=bash
# The stock daemon and ours understand each other, in both directions, with the stock daemon's own files.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
start S serve guest-lab serve

# told_by_stock: B gets all that A has. What the stock daemon or its module loses, on a busy machine or with a
# Jool that drops in silence, an operator has told again, every few seconds.
told_by_stock() {
    for _ in {1..4}; do
        for _ in {1..50}; do
            ! same_sessions A B || return 0
            sleep 0.1
        done
        advertise A || echo "Jool of A advertises nothing"
    done
    same_sessions_within 10 A B
}

set=0
for family in 6 4; do
    start_stock A "$family"
    read -ra files < <(stock_files B "$family")
    start_joold B "${files[@]}"

    move_traffic_to A
    start C tcp guest-lab tcp --connections 10 --rate 10 --seconds 25
    new_sessions "$((set += 1))"
    wait_for 10 "ten connections are open" logged C tcp 'all 10 connections are open'
    has_sessions A 90 || fail "A has $(sessions A) sessions instead of 90"
    told_by_stock
    say "IPv$family, stock to ours: both have $(sessions B) sessions"

    move_traffic_to B
    new_sessions "$((set += 1))"
    has_sessions B 170 || fail "B has $(sessions B) sessions instead of 170"
    same_sessions_within 15 B A
    say "IPv$family, ours to stock: both have $(sessions A) sessions"
    finished C tcp
    [ "$STATUS" = 0 ] || fail "connections broke when the traffic moved to B"

    stop_stock A
    stop_joold B
    empty A
    empty B
done
# The last words of the connections find no daemon on a node that is being emptied.
dmesg_is_silent 'nobody received' || fail "the kernel complained"
