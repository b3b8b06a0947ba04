# shellcheck shell=bash
# What the stock daemon makes of a failover and of the way back, for comparison with failover.sh: the same
# keepalived, of which nothing tells how fit a node is, and a node that comes back with an empty Jool. Only
# prints; nothing is promised of it.
. /scenario/guest/lib.sh
. /scenario/guest/keepalived.sh
need guest-lab
topology A B

for node in A B; do start_stock "$node"; done
for node in A B; do start_keepalived "$node" "s$node"; done
wait_for 20 "A serves" serves A
start_lives
phase "steady"

cut_off A
wait_for 20 "B has the addresses" has_addresses B
stop_stock A
empty A
phase "failover to B"
at C guest-lab flows --sessions 150000 --source-port 20000
say "B has $(sessions B) sessions"

start_stock A
reconnect A
wait_for 20 "A serves" serves A
phase "the way back: when A served it had $(sessions A) sessions"
stop C lives
say "$(grep '^TCP: ' "$LOGS/C.lives.log")"
sort "$LOGS/C.lives.log" | grep -e died -e dead | sed 's/.*: //' | sort | uniq -c
