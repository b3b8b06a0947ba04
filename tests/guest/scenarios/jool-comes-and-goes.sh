# shellcheck shell=bash
# The module and its instance may appear after the daemon, vanish and return; a start without them, or
# without the right to use them, ends with the exit status that says so.
. /scenario/guest/lib.sh
need guest-lab joold setpriv
topology A B
start_joold A

module_is_removed() { modprobe -r jool; }
# b_logs PATTERN: waits until B has logged it since the last forget_log; B must be running all the same.
b_logs() {
    wait_for 15 "B logs: $1" logged B joold "$1"
    is_running B joold || fail "B's daemon is gone"
}

at A jool instance remove
at B jool instance remove
wait_for 15 "the module is removed" module_is_removed
wait_for 15 "A logs the loss" logged A joold 'Jool is lost'

start B joold joold --interface sB
b_logs 'waiting for Jool .*modprobe jool'
say "B waits for the module"
modprobe jool
b_logs 'waiting for Jool .*no NAT64 instance "default"'
say "B waits for the instance"
forget_log A joold
instance A
instance B
b_logs 'attached to Jool'
wait_for 15 "A is attached again" logged A joold 'attached to Jool'
set_arrives 1 A B
say "both are attached, and sessions arrive"

forget_log B joold
at B jool instance remove
b_logs 'Jool is lost.*no NAT64 instance "default"'
new_sessions 2
instance B
b_logs 'attached to Jool'
set_arrives 3 A B
say "B's instance went and came, and sessions arrive"

# Faster than anybody looks.
at B jool instance remove
instance B
set_arrives 5 A B
say "B's instance was replaced, and sessions arrive"

# What the others know is given to a new instance, old sessions included.
have_old() { have_set 3 A B; }
wait_for 15 "B's new instance has what A has" have_old
say "B's new instance has the sessions of before, too"

forget_log A joold
forget_log B joold
at A jool instance remove
at B jool instance remove
wait_for 15 "the module is removed" module_is_removed
b_logs 'Jool is lost'
wait_for 15 "A logs the loss" logged A joold 'Jool is lost'
modprobe jool
instance A
instance B
b_logs 'attached to Jool'
wait_for 15 "A is attached again" logged A joold 'attached to Jool'
set_arrives 4 A B
say "the module went and came, and sessions arrive"

stop_joold B

start B unpermitted setpriv --bounding-set=-net_admin joold --interface sB
finished B unpermitted
[ "$STATUS" = 77 ] || fail "without CAP_NET_ADMIN the exit status is $STATUS"
logged B unpermitted CAP_NET_ADMIN || fail "without CAP_NET_ADMIN the log does not name it"

at B jool instance remove
start B impatient joold "$(configuration B '{ "in interface": "sB", "jool wait": 2 }')"
finished B impatient
[ "$STATUS" = 69 ] || fail "without an instance the exit status is $STATUS"
logged B impatient 'instance add' || fail "without an instance the log does not say what to do"

stop_joold A
at A jool instance remove
wait_for 15 "the module is removed" module_is_removed
start B impatient joold "$LOGS/B.json"
finished B impatient
[ "$STATUS" = 69 ] || fail "without the module the exit status is $STATUS"
logged B impatient 'modprobe jool' || fail "without the module the log does not say what to do"
say "exit statuses are right"
# Jool says so of requests that find the instance or the module gone, and of the one that is not permitted.
dmesg_is_silent "lacks an instance named|has not been modprobed|CAP_NET_ADMIN capability required" || fail "the kernel complained"
