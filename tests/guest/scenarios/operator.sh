# shellcheck shell=bash
# What an operator does to a Jool stands: what is removed from the node that translated it ends on all nodes, and
# what is removed from another is given to it again; an instance that is made anew gets everything back. A mask
# that static BIB gives to another client is named.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
need guest-lab
topology A B
install_package
for node in A B; do
    unit_in "$node" "s$node"
    systemctl start "joold@s$node"
done
for node in A B; do
    jooldctl -i "s$node" wait --fit --synced --timeout 120s >/dev/null || fail "$node does not become fit"
done

# session NODE CLIENT: the line of this client's session in the node's table; empty: there is none.
session() { table "$1" | grep -F ",$2," || true; }
has_session() { [ -n "$(session "$1" "$2")" ]; }
lacks_session() { ! has_session "$1" "$2"; }
both_have() { has_session A "$1" && has_session B "$1"; }
both_lack() { lacks_session A "$1" && lacks_session B "$1"; }

# client NUMBER: opens a UDP session of this client, whose address is in $CLIENT.
client() {
    CLIENT=2001:db8:1::$1
    at C guest-lab flows --sessions 1 --packets 3 --rate 10 --sockets 1 --from "$CLIENT" >/dev/null
    wait_for 60 "both nodes have the session of $CLIENT" both_have "$CLIENT"
}

# mask NODE: the UDP mask of $CLIENT there, as jool writes it.
mask() { session "$1" "$CLIENT" | awk -F, '{ print $6 "#" $7 }'; }
source6() { session "$1" "$CLIENT" | awk -F, '{ print $2 "#" $3 }'; }

# compared NODE: has the node compare its Jool with what it knows, and waits for that.
compared() {
    local before
    before=$(jooldctl -i "s$1" status --json | sed -n 's/.*"audits":\([0-9]*\).*/\1/p')
    jooldctl -i "s$1" resync >/dev/null
    audited() { [ "$(jooldctl -i "s$1" status --json | sed -n 's/.*"audits":\([0-9]*\).*/\1/p')" -gt "$before" ]; }
    wait_for 60 "$1 has compared" audited "$1"
}

# --- jool bib remove, where the session is translated, and where it is not.
client 1
at A jool bib remove --udp "$(source6 A)" "$(mask A)"
lacks_session A "$CLIENT" || fail "jool bib remove has left the session"
compared A
wait_for 20 "what was removed from A is nowhere" both_lack "$CLIENT"
for node in A B; do compared "$node"; done
both_lack "$CLIENT" || fail "what was removed is back"
journal_has sA '1 sessions were removed from our own Jool' || fail "A does not tell of it"
client 1
say "jool bib remove on the node that translates ends a session on both; it may be opened again"
client 2
at B jool bib remove --udp "$(source6 B)" "$(mask B)"
lacks_session B "$CLIENT" || fail "jool bib remove has left the session"
compared B
wait_for 20 "B has it again" both_have "$CLIENT"
say "jool bib remove on the other node takes it from nobody"

# --- pool4.
pool4() { for protocol in tcp udp icmp; do at A jool pool4 "$@" "--$protocol" 198.51.100.0/28 61001-65535; done; }
new_sessions 3
wait_for 60 "both nodes have 80 more" have_set 3 A B
pool4 remove
wait_for 20 "the sessions of what was pool4 are nowhere" both_lack 2001:db8:1::3
pool4 add
at A jool global update maximum-simultaneous-opens 9 >/dev/null || fail "A's settings cannot be changed"
jooldctl -i sA wait --fit --timeout 60s >/dev/null || fail "A does not become fit again"
for node in A B; do compared "$node"; done
both_lack 2001:db8:1::3 || fail "the sessions of what was pool4 are back"
client 4
say "what goes with pool4 does not come back, and the settings can be changed"

# --- Paused: it goes on being told.
at B jool global update manually-enabled false
client 5
at B jool global update manually-enabled true
both_have "$CLIENT" || fail "a paused Jool lacks what was translated meanwhile"
say "a paused Jool lacks nothing when it goes on"

# --- An instance that is made anew, faster than anybody looks, with session sync on as before.
new_sessions 6
wait_for 60 "both nodes have 80 more" have_set 6 A B
at A jool instance remove
instance A
wait_for 30 "A has everything again" have_set 6 A B
compared A
have_set 6 A B || fail "what a new instance had not was taken for removed"
say "an instance that was made anew gets everything back"

# --- A mask that is another client's on B, by a static BIB entry.
ip -n sync link set B down
at C guest-lab flows --sessions 1 --packets 3 --rate 10 --sockets 1 --from 2001:db8:1::7 >/dev/null
CLIENT=2001:db8:1::7
wait_for 10 "A has the session" has_session A "$CLIENT"
MASK=$(mask A)
at B jool bib add --udp "2001:db8:1::99#4000" "$MASK"
ip -n sync link set B up
jooldctl -i sB wait --fit --timeout 60s >/dev/null || fail "B is not fit"
# The session may come after a comparison, so each look begins with another one.
tells() { compared B && jooldctl -i sB status | grep "does not take 1 session.*$MASK.*2001:db8:1::99#4000.*static"; }
wait_for 60 "B tells that its Jool does not take the session, and why" tells
lacks_session B "$CLIENT" || fail "B has the session"
jooldctl -i sB fit >/dev/null || fail "B is not fit because of one session"
jooldctl -i sB status | head -n 4
knows_better() { jooldctl -i sA status | head -n 1 | grep 'NOBODY'; }
wait_for 20 "A does not say that B has everything" knows_better
at B jool bib remove --udp "2001:db8:1::99#4000" "$MASK"
compared B
wait_for 60 "B has the session" has_session B "$CLIENT"
compared B
mended() { compared B && ! jooldctl -i sB status | grep -q 'does not take'; }
wait_for 60 "B tells of nothing any more" mended
journal_has sB 'takes all sessions of the other nodes again' || fail "B does not tell that all is well"
say "a mask that is another client's is told of, with both clients, and when it is not any more"

# --- Settings and static BIB entries that differ are named on both.
drifts() { jooldctl -i "s$1" status | grep -q "$2" && jooldctl -i "s$1" fit >/dev/null; }
agrees() { ! drifts A settings; }
for change in "address-dependent-filtering true false" "drop-externally-initiated-tcp true false" \
    "source-icmpv6-errors-better false true" "override-tos true false"; do
    read -r setting other default <<<"$change"
    at B jool global update "$setting" "$other"
    for node in A B; do wait_for 20 "$node tells that $setting differs" drifts "$node" settings; done
    at B jool global update "$setting" "$default"
    wait_for 20 "A tells that $setting is the same again" agrees
done
at B jool global update mtu-plateaus 1500,1300
wait_for 20 "A tells that mtu-plateaus differ" drifts A settings
at B jool global update mtu-plateaus 65535,32000,17914,8166,4352,2002,1492,1006,508,296,68
wait_for 20 "A tells that mtu-plateaus are the same again" agrees
for setting in logging-debug logging-bib logging-session; do at B jool global update "$setting" true 2>/dev/null || true; done
compared B
! drifts A settings || fail "what is logged counts as a difference"
for setting in logging-debug logging-bib logging-session; do at B jool global update "$setting" false 2>/dev/null || true; done
at A jool bib add --tcp "2001:db8:1::50#443" 198.51.100.5#61443
compared A
for node in A B; do wait_for 20 "$node tells of the static BIB entry" drifts "$node" 'static BIB'; done
at B jool bib add --tcp "2001:db8:1::50#443" 198.51.100.5#61443
compared B
same_bib() { ! drifts A 'static BIB' && ! drifts B 'static BIB'; }
wait_for 20 "both have the same static BIB" same_bib
say "settings and static BIB entries that differ are named"

dmesg_is_silent 'nobody received|Too many sessions deferred|lacks an instance|Malformed|does not belong|Session sync is disabled' || fail "the kernel complained"
