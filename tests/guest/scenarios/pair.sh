# shellcheck shell=bash
# Two of our daemons: with no file at all, over IPv4 multicast, and with unicast peers.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
start S serve guest-lab serve

set=0
for way in none IPv4 unicast; do
    for node in A B; do
        case $way in
        none) arguments=() ;;
        IPv4) arguments=("$(configuration "$node" "{ \"multicast address\": \"233.252.0.64\", \"in interface\": \"s$node\" }")") ;;
        unicast) arguments=("$(configuration "$node" '{ "peers": ["fd64::1", "fd64::2"] }')") ;;
        esac
        start_joold "$node" "${arguments[@]}"
    done

    move_traffic_to A
    start C tcp guest-lab tcp --connections 10 --rate 10 --seconds 25
    new_sessions "$((set += 1))"
    wait_for 10 "ten connections are open" logged C tcp 'all 10 connections are open'
    has_sessions A 90 || fail "A has $(sessions A) sessions instead of 90"
    same_sessions_within 15 A B
    say "configuration: $way, A to B: both have $(sessions B) sessions"

    move_traffic_to B
    new_sessions "$((set += 1))"
    has_sessions B 170 || fail "B has $(sessions B) sessions instead of 170"
    same_sessions_within 15 B A
    say "configuration: $way, B to A: both have $(sessions A) sessions"
    finished C tcp
    [ "$STATUS" = 0 ] || fail "connections broke when the traffic moved to B"

    stop_joold A
    stop_joold B
    empty A
    empty B
done
dmesg_is_silent 'nobody received' || fail "the kernel complained"
