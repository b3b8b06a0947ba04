# shellcheck shell=bash
# Measures the stock daemon and ours in the same boot, and prints the table of the README. What is
# promised is checked; everything else is for reading. Needs Jool 4.1.13.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
ROUNDS=${ROUNDS:-3}

start_pair() {
    local node files
    for node in A B; do
        if [ "$1" = stock ]; then
            start_stock "$node"
        else
            read -ra files < <(stock_files "$node")
            start_joold "$node" "${files[@]}"
        fi
    done
}

stop_pair() { for node in A B; do stop "$node" "$1"; done; }

# What a fresh instance has, for the stock daemon does not set it.
defaults() { at A jool global update ss-flush-deadline 2000 && at A jool global update ss-capacity 512; }

# latency WHO BURST PORT: median and longest, in milliseconds.
declare -A LATENCY
latency() {
    LATENCY[$1.$2]=$(at C guest-lab latency --burst "$2" --times 15 --port "$3")
    say "$1: sessions in bursts of $2 reach the peer's table: ${LATENCY[$1.$2]}"
}

for who in stock joold; do
    start_pair "$who"
    case $who in stock) port=2000 ;; *) port=4000 ;; esac
    latency "$who" 1 "$port"
    latency "$who" 5 "$((port + 500))"
    stop_pair "$who"
done

# Nobody listens while the table is filled, and A's queue forgets most of it: only what is told on purpose counts.
empty A
at C guest-lab flows --sessions 50000 --rate 0
sessions=$(sessions A)
say "A has $sessions sessions"
[ "$sessions" = 50000 ] || fail "A has not 50,000 sessions"

declare -A TIME CPU ARRIVED
for round in $(seq "$ROUNDS"); do
    for who in stock joold; do
        empty B
        defaults
        if [ "$who" = stock ]; then
            # Stock has to be told to, and both have to be there.
            start_pair stock
            cpu=$(($(cpu_ms A stock) + $(cpu_ms B stock)))
            result=$(at A guest-lab advertise --sessions "$sessions")
        else
            # Ours needs nobody's hand: measured from the start of B's daemon on.
            read -ra files < <(stock_files A)
            start_joold A "${files[@]}"
            wait_for 30 "A knows its sessions" logged A joold 'joined: there is no other'
            read -ra files < <(stock_files B)
            cpu=$(cpu_ms A joold)
            at B guest-lab advertise --sessions "$sessions" --unasked >"$LOGS/arrived" &
            measuring=$!
            start B joold /scenario/bin/joold "${files[@]}"
            wait "$measuring"
            result=$(cat "$LOGS/arrived")
        fi
        cpu=$(($(cpu_ms A "$who") + $(cpu_ms B "$who") - cpu))
        say "round $round, $who: $result, $cpu ms of CPU"
        read -r time _ arrived _ <<<"$result"
        TIME[$who]+="${time/./}0 " CPU[$who]+="$cpu " ARRIVED[$who]+="$arrived "
        stop_pair "$who"
    done
done

least() { tr ' ' '\n' <<<"$1" | grep . | sort -n | head -n 1; }
for who in stock joold; do
    TIME[$who]=$(least "${TIME[$who]}") CPU[$who]=$(least "${CPU[$who]}")
done

printf '\n%-58s %-28s %s\n' "" stock joold
printf '%-58s %-28s %s\n' "a lone new session, to the peer's table" "${LATENCY[stock.1]}" "${LATENCY[joold.1]}"
printf '%-58s %-28s %s\n' "the last of a burst of 5" "${LATENCY[stock.5]}" "${LATENCY[joold.5]}"
printf '%-58s %-28s %s\n' "50,000 sessions to an empty node: time, best of $ROUNDS" "${TIME[stock]} ms" "${TIME[joold]} ms"
printf '%-58s %-28s %s\n' "50,000 sessions to an empty node: CPU of both daemons" "${CPU[stock]} ms" "${CPU[joold]} ms"
printf '%-58s %-28s %s\n' "50,000 sessions to an empty node: arrived" "${ARRIVED[stock]}" "${ARRIVED[joold]}"
echo "ratios joold/stock: time $((100 * 10#${TIME[joold]} / 10#${TIME[stock]})) %, CPU $((100 * CPU[joold] / CPU[stock])) %"
