# shellcheck shell=bash
# A pair without traffic: little memory, and asleep but for its hellos and looks.
. /scenario/guest/lib.sh
need joold
topology A B
for node in A B; do start_joold "$node"; done
for node in A B; do wait_for 20 "$node is synced" logged "$node" joold 'synced: nothing'; done

field() { sed -n "s/^$2:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/${PIDS[$1.joold]}/status"; }

switches=$(field B voluntary_ctxt_switches) cpu=$(cpu_ms B joold)
sleep 20
switches=$(($(field B voluntary_ctxt_switches) - switches)) cpu=$(($(cpu_ms B joold) - cpu))
say "idle for 20 s: $(field B VmRSS) kB resident, woken $((switches / 20)) times a second, $cpu ms of CPU"
[ "$(field B VmRSS)" -lt 10240 ] || fail "more than 10 MiB"
dmesg_is_silent || fail "the kernel complained"
