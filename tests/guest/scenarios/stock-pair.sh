# shellcheck shell=bash
# Proves the lab: two stock daemons bring the sessions of A to B.
. /scenario/guest/lib.sh
need guest-lab
topology A B

start_stock A
# trixie's Jool has the daemon in two forms.
if at B jool session proxy --help >/dev/null 2>&1; then start_proxy B; else start_stock B; fi
start S serve guest-lab serve
say "topology and daemons are up"

# Slowly: of a burst, 4.1.9 loses the most part before its daemon hears of it. For the same reason the
# connections, which announce themselves again and again, must still be in use when the tables are compared.
at C guest-lab ping --sessions 20 --rate 20 --all
at C guest-lab flows --sessions 200 --rate 100
at C guest-lab flows --sessions 10 --packets 5 --rate 50 --sockets 10 --source-port 30000 \
    --from 2001:db8:1::1 2001:db8:1::2
start C tcp guest-lab tcp --connections 10 --rate 10 --seconds 20
wait_for 10 "ten connections are open" logged C tcp 'all 10 connections are open'
say "sessions: $(sessions A) on A, $(sessions B) on B"
has_sessions A 240 || fail "A has $(sessions A) sessions instead of 240"
same_sessions_within 15 A B
say "B has the sessions of A: $(wc -l <"$LOGS/B.table")"

move_traffic_to B
finished C tcp
[ "$STATUS" = 0 ] || fail "connections broke when the traffic moved to B"
at C guest-lab ping --sessions 20 --all
say "B carries on: $(tail -n 1 "$LOGS/C.tcp.log")"
has_sessions B 240 || fail "B has $(sessions B) sessions instead of 240"

stop_stock A
stop_stock B
dmesg_is_silent || fail "the kernel complained"
