# shellcheck shell=bash
# Counts what the stock daemon and ours cost in the same boot on the same work: system calls and CPU of both
# nodes' daemons, from the beginning of the work to some seconds after its end, so hellos and looks included.
# Only prints. Needs Jool 4.1.13.
. /scenario/guest/lib.sh
need guest-lab joold
topology A B
ROUNDS=${ROUNDS:-3}

# Counts every system call, by thread.
TRACING=/sys/kernel/tracing
mountpoint -q "$TRACING" || mount -t tracefs tracefs "$TRACING"
echo 'hist:keys=common_pid' >"$TRACING/events/raw_syscalls/sys_enter/trigger"

# calls NAMESPACE NAME: how many a running process's threads have made.
calls() {
    local threads
    threads=$(ls "/proc/${PIDS[$1.$2]}/task")
    awk -v threads="$threads" 'BEGIN { n = split(threads, list, /[ \n]+/); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
        $2 == "common_pid:" && ($3 in wanted) { sum += $NF } END { print sum + 0 }' \
        "$TRACING/events/raw_syscalls/sys_enter/hist"
}

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
    [ "$1" = stock ] || for node in A B; do wait_for 60 "$node is synced" logged "$node" joold 'synced: nothing'; done
}

stop_pair() { for node in A B; do stop "$node" "$1"; done; }

# What a fresh instance has, for the stock daemon does not set it.
defaults() {
    local node
    for node in A B; do
        at "$node" jool global update ss-flush-deadline 2000
        at "$node" jool global update ss-capacity 512
    done
}

# measure WHO WHAT SECONDS COMMAND…: what the work costs from its beginning on for so long.
declare -A CALLS CPU
measure() {
    local who=$1 what=$2 seconds=$3 node calls=0 cpu=0 began=$SECONDS each=''
    shift 3
    for node in A B; do calls=$((calls - $(calls "$node" "$who"))) cpu=$((cpu - $(cpu_ms "$node" "$who"))); done
    "$@" >/dev/null
    [ $((SECONDS - began)) -le "$seconds" ] || fail "$what takes longer than $seconds s"
    sleep $((seconds - (SECONDS - began)))
    for node in A B; do calls=$((calls + $(calls "$node" "$who"))) cpu=$((cpu + $(cpu_ms "$node" "$who"))); done
    say "$what, $who: $calls system calls, $cpu ms of CPU"
    CALLS[$who.$what]+="$calls " CPU[$who.$what]+="$cpu "
}

# packets RATE: 10 flows, of other clients each time.
CLIENT=0
packets() {
    CLIENT=$((CLIENT + 1))
    at C guest-lab flows --sessions 10 --packets 2000 --rate "$1" --from "2001:db8:1::$CLIENT"
}

# The table of the second kind of work, on both.
start_pair joold
at C guest-lab flows --sessions 50000
wait_for 60 "B has 50,000 sessions" has_sessions B 50000
stop_pair joold

for round in $(seq "$ROUNDS"); do
    for who in stock joold; do
        [ "$who" = joold ] || defaults
        start_pair "$who"
        measure "$who" slowly 11 packets 2000
        measure "$who" fast 4 packets 10000
        measure "$who" advertise 10 advertise A
        stop_pair "$who"
    done
done

least() { tr ' ' '\n' <<<"$1" | grep . | sort -n | head -n 1; }
printf '\n%-44s %-22s %-22s %s\n' "the least of $ROUNDS rounds" stock joold joold/stock
for what in slowly fast advertise; do
    case $what in
    slowly) text="20,000 packets of 10 flows, 2,000 a second" ;;
    fast) text="20,000 packets of 10 flows, 10,000 a second" ;;
    advertise) text="jool session advertise of 50,000, all known" ;;
    esac
    for unit in "system calls" "ms of CPU"; do
        if [ "$unit" = "ms of CPU" ]; then stock=${CPU[stock.$what]} ours=${CPU[joold.$what]}
        else stock=${CALLS[stock.$what]} ours=${CALLS[joold.$what]}; fi
        stock=$(least "$stock") ours=$(least "$ours")
        printf '%-44s %-22s %-22s %s %%\n' "$text" "$stock $unit" "$ours $unit" $((100 * ours / stock))
    done
done
