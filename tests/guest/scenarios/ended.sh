# shellcheck shell=bash
# Sessions that end while the nodes cannot hear one another, so that nothing tells of it, end on the
# other one as soon as they can: else their masks would be taken there for whoever gets them next. It
# takes the four minutes that Jool keeps a closed connection at least.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
start S serve guest-lab serve
for node in A B; do
    at "$node" jool global update udp-timeout 900
    start_joold "$node"
done
for node in A B; do wait_for 20 "$node is synced" logged "$node" joold 'synced: nothing'; done

# A Jool before 4.1.11 loses some, which the comparison after 30 s finds.
start C tcp guest-lab tcp --connections 10 --rate 20 --seconds 45
wait_for 10 "ten connections are open" logged C tcp 'all 10 connections are open'
# Five that last longer.
at C guest-lab flows --sessions 5
wait_for 40 "both have all 15 sessions" has_sessions B 15
ip -n sync link set B down
finished C tcp
[ "$STATUS" = 0 ] || fail "the connections broke"
wait_for 300 "A has no connection any more (it has $(sessions A) sessions)" has_sessions A 5
has_sessions B 15 || fail "B has $(sessions B) sessions instead of 15, though it heard of nothing"
say "A has $(sessions A) sessions, B still has $(sessions B)"

ip -n sync link set B up
wait_for 60 "the connections have ended on B, too (it has $(sessions B) sessions)" has_sessions B 5
say "B has $(sessions B) sessions, too"
logged B joold '10 sessions ended on .* while it was not heard' || fail "nothing in the log tells of it"
same_sessions_within 15 A B
