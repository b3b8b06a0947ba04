//! Network namespaces, and what joins them.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::{self, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

use super::wait_until;

/// A network namespace, deleted when dropped.
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn create() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // The first `ip netns add` of a machine prepares /run/netns, which two at once may not.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("joold-net-{}-{number}", process::id());
        run(&format!("ip netns add {name}"))?;
        let namespace = Self(name);
        namespace.ip("link set lo up");
        // An address in use at once, without the second of duplicate address detection.
        namespace.sysctl("net.ipv6.conf.all.accept_dad=0");
        namespace.sysctl("net.ipv6.conf.default.accept_dad=0");
        // No link-local addresses but those that a test gives.
        namespace.sysctl("net.ipv6.conf.default.addr_gen_mode=1");
        Ok(namespace)
    }

    /// Returns what `ip` prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run(&format!("ip -n {} {arguments}", self.0)).unwrap()
    }

    pub(crate) fn sysctl(&self, assignment: &str) {
        run(&format!("ip netns exec {} sysctl -qw {assignment}", self.0)).unwrap();
    }

    /// Runs `work` in the namespace, on a thread of its own.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = File::open(format!("/run/netns/{}", self.0)).unwrap();
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = run(&format!("ip netns delete {}", self.0)) {
            eprintln!("{error}");
        }
    }
}

/// Returns what the command prints, or its complaint.
pub(crate) fn run(command: &str) -> Result<String, String> {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .map_err(|error| format!("{command}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command}: {}", complaint.trim_end()))
}

/// Two namespaces, or `None` where the machine allows none.
pub(crate) fn two_namespaces() -> Option<(Namespace, Namespace)> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let created = if root {
        Namespace::create().and_then(|first| Ok((first, Namespace::create()?)))
    } else {
        Err("network namespaces need root".to_owned())
    };
    match created {
        Ok(namespaces) => Some(namespaces),
        Err(reason) => {
            eprintln!("skipped: {reason}");
            let must_run = env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!must_run, "no test may be skipped here: {reason}");
            None
        }
    }
}

/// Joins the two by interfaces called `name`: the first has the host number 1 in the networks of
/// `number`, the second 2.
pub(crate) fn connect(nodes: (&Namespace, &Namespace), name: &str, number: u8) {
    connect_at(nodes, name, number, "");
}

/// As [`connect`], with more words for each interface, for instance an index.
pub(crate) fn connect_at(nodes: (&Namespace, &Namespace), name: &str, number: u8, words: &str) {
    let (first, second) = (&nodes.0.0, &nodes.1.0);
    run(&format!(
        "ip link add name {name} {words} netns {first} type veth peer name {name} {words} netns \
         {second}"
    ))
    .unwrap();
    for (node, host) in [(nodes.0, 1), (nodes.1, 2)] {
        node.ip(&format!("address add 192.0.{number}.{host}/24 dev {name}"));
        node.ip(&format!(
            "address add 2001:db8:{number}::{host}/64 dev {name} nodad"
        ));
        node.ip(&format!(
            "address add fe80::{number}:{host}/64 dev {name} nodad"
        ));
        node.ip(&format!("link set {name} up"));
    }
    // IPv6 takes up to a second after that to see the carrier.
    let route = format!("multicast ff00::/8 dev {name} ");
    for node in [nodes.0, nodes.1] {
        wait_until("the interface is ready for IPv6", || {
            node.ip("-6 route show table local").contains(&route)
        });
    }
}
