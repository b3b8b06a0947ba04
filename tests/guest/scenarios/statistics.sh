# shellcheck shell=bash
# The stock daemon's command line with all three arguments, and its statistics; what is wrong with a
# configuration is told in the same words by the daemon and by the client.
. /scenario/guest/lib.sh
need guest-lab joold jooldctl nc
topology A B
for node in A B; do
    read -ra files < <(stock_files "$node")
    start_joold "$node" "${files[@]}" 45678
done
set_arrives 1 A B
move_traffic_to B
set_arrives 2 A B

names=KERNEL_SENT_PKTS,KERNEL_SENT_BYTES,NET_RCVD_PKTS,NET_RCVD_BYTES,NET_SENT_PKTS,NET_SENT_BYTES
for node in A B; do
    statistics "$node" 45678 >"$LOGS/$node.statistics"
    [ "$(cut -d, -f1 "$LOGS/$node.statistics" | paste -sd,)" = "$names" ] \
        || fail "$node's six lines are not there: $(cat "$LOGS/$node.statistics")"
    ! grep -vE '^[A-Z_]+,[1-9][0-9]*$' "$LOGS/$node.statistics" || fail "$node has counted nothing there"
    say "$node: $(paste -sd' ' "$LOGS/$node.statistics")"
    stop_joold "$node"
done

bad=$(configuration A '{ "multicast address": "192.0.2.1", "multicast port": "no-such-service", "ttl": 256, "multicast adress": "" }')
for program in "joold" "jooldctl check"; do
    # shellcheck disable=SC2086
    start A "${program%% *}" $program "$bad"
    finished A "${program%% *}"
    [ "$STATUS" = 78 ] || fail "$program: a bad file's exit status is $STATUS"
done
[ "$(wc -l <"$LOGS/A.jooldctl.log")" -ge 4 ] || fail "jooldctl check does not tell all that is wrong"
while read -r problem; do
    logged A joold "$(sed 's/[][\.*^$]/\\&/g' <<<"$problem")" || fail "joold does not say: $problem"
done <"$LOGS/A.jooldctl.log"
say "a bad file: exit status 78, and $(wc -l <"$LOGS/A.jooldctl.log") problems told alike"
dmesg_is_silent || fail "the kernel complained"
