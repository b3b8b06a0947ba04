//! The daemon at work with a simulated Jool, from the outside: what it counts, logs and tells systemd,
//! and that it ends whatever comes. Nothing here needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use joold::session::{Format, Identity, Prefix, Protocol, Session, State, Timer};
use serde_json::json;

use common::daemon::{Daemon, Folder, free_port, loopback, statistics, with};
use common::{LIMIT, TRIES, wait_until};

/// Two daemons on loopback; the first has traffic. The second is told where to give statistics.
fn pair(folder: &Folder, rate: u32) -> (Daemon, Daemon, SocketAddr) {
    let ports = [free_port(), free_port()];
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let start = |name: &str, content: String, rate: u32| {
        let daemon = Daemon::start(
            Daemon::command()
                .arg(folder.file(name, content))
                .args(["--simulated-jool", &rate.to_string()]),
        );
        daemon.logs("attached to Jool");
        daemon
    };
    let standby = with(
        loopback(ports[1], ports[0]),
        "statistics address",
        address.to_string(),
    );
    let standby = start("standby.json", standby, 0);
    let active = loopback(ports[0], ports[1]).to_string();
    (start("active.json", active, rate), standby, address)
}

#[test]
fn statistics_are_the_stock_daemons_six_lines_and_grow() {
    let folder = Folder::create();
    let (active, standby, address) = pair(&folder, 200);
    wait_until("sessions applied", || {
        let [packets, bytes, received, received_bytes, ..] = statistics(address);
        packets > 0 && bytes >= 40 * packets && received > 0 && received_bytes >= bytes
    });
    let (status, log) = active.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("WARN uses a simulated Jool, not the kernel's, with 200 new"));
    let (status, log) = standby.stop("INT");
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn garbage_and_strangers_are_told_of_by_reason_when_they_come() {
    let folder = Folder::create();
    let port = free_port();
    let file = folder.file("netsocket.json", loopback(port, free_port()).to_string());
    let daemon = Daemon::start(Daemon::command().arg(&file).args(["--simulated-jool", "0"]));
    daemon.logs("attached to Jool");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .send_to(b"not a record", ("127.0.0.1", port))
        .unwrap();
    daemon.logs("WARN dropped: refused records (malformed): 1\n");
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    wait_until("the stranger's datagram taken from the socket", || {
        queued(port) == Some(0)
    });
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
    let end = "dropped: datagrams from strangers: 1, refused records (malformed): 1\n";
    assert!(log.ends_with(end), "{log}");
}

#[test]
fn who_sends_and_is_none_of_the_peers_is_named() {
    let folder = Folder::create();
    let port = free_port();
    let file = folder.file("netsocket.json", loopback(port, free_port()).to_string());
    let daemon = Daemon::start(Daemon::command().arg(&file).args(["--simulated-jool", "0"]));
    daemon.logs("each of \"peers\" should run one that names this node in its own \"peers\"");
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    daemon.logs("WARN 127.0.0.2 sends to this node, but is not in its \"peers\"");
}

#[test]
fn a_flood_of_datagrams_does_not_keep_the_daemon_from_stopping() {
    stops_in_a_flood_of(&[0x28; 60_000], "WARN dropped: ");
}

/// They take longer to read than to send, so there is always another one.
#[test]
fn a_flood_of_sessions_does_not_keep_the_daemon_from_stopping() {
    let mut run = Vec::new();
    for port in 1..=1500 {
        let id = Identity {
            src6: "2001:db8::8".parse().unwrap(),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: 443,
            protocol: Protocol::Udp,
        };
        let session = Session {
            id,
            state: State::Established,
            timer: Timer::Established,
            lifetime: 300_000,
        };
        Format::Flat40.write(&session, &Prefix::WELL_KNOWN, &mut run);
    }
    stops_in_a_flood_of(&run, "INFO joined: ");
}

fn stops_in_a_flood_of(datagram: &[u8], logged: &str) {
    let folder = Folder::create();
    let port = free_port();
    let file = folder.file("netsocket.json", loopback(port, free_port()).to_string());
    let daemon = Daemon::start(Daemon::command().arg(&file).args(["--simulated-jool", "0"]));
    daemon.logs("attached to Jool");
    let stopped = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let (stopped, datagram) = (Arc::clone(&stopped), datagram.to_vec());
            thread::spawn(move || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    // Full buffers, and the end of the daemon, are what this is about.
                    let _ = socket.send_to(&datagram, ("127.0.0.1", port));
                }
            })
        })
        .collect();
    daemon.logs(logged);
    // Fails if the daemon outlives the limit.
    let (status, log) = daemon.stop("TERM");
    stopped.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_the_daemon() {
    let port = free_port();
    let folder = Folder::create();
    let file = folder.file("netsocket.json", loopback(port, free_port()).to_string());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let statistics_port = free_port();
    let mut child = Daemon::command()
        .arg(&file)
        .arg(folder.file("modsocket.json", "{}"))
        .arg(statistics_port.to_string())
        .args(["--simulated-jool", "10"])
        .stderr(full)
        .spawn()
        .unwrap();
    // It lives as long as it answers, and it has tried to log by the time it counts.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, statistics_port));
    wait_until("datagrams sent", || {
        let listening = fs::read_to_string("/proc/net/udp6").unwrap();
        listening.contains(&format!(":{statistics_port:04X} ")) && statistics(address)[4] > 0
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_hangup_has_the_file_read_again_all_or_nothing() {
    let folder = Folder::create();
    let port = free_port();
    let peer = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    };
    let (first, second) = (peer(), peer());
    let to = |peer: &UdpSocket| loopback(port, peer.local_addr().unwrap().port());
    let file = folder.file("netsocket.json", to(&first).to_string());
    let mut daemon = Daemon::command();
    let daemon = Daemon::start(daemon.arg(&file).args(["--simulated-jool", "100"]));
    first.recv(&mut [0; 2048]).unwrap();

    let mut bad = to(&second);
    bad["ttl"] = json!(256);
    bad["flush intervall"] = json!(10);
    fs::write(&file, bad.to_string()).unwrap();
    daemon.signal("HUP");
    daemon.logs("ERROR the configuration stays as it was: ");
    daemon.logs("\"ttl\"");
    daemon.logs("\"flush intervall\"");

    fs::write(&file, to(&second).to_string()).unwrap();
    daemon.signal("HUP");
    daemon.logs("INFO read the configuration again");
    second.recv(&mut [0; 2048]).unwrap();

    // What the first hears after this is what was on its way.
    let statistics_port = free_port();
    let mut more = to(&second);
    more["statistics address"] = json!(format!("127.0.0.1:{statistics_port}"));
    fs::write(&file, more.to_string()).unwrap();
    daemon.signal("HUP");
    wait_until("statistics where the file wants them", || {
        queued(statistics_port).is_some()
    });
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
}

/// Bytes that wait in the receive buffer of the IPv4 UDP socket at a port.
fn queued(port: u16) -> Option<u64> {
    let local = format!(":{port:04X} ");
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let line = table.lines().find(|line| line.contains(&local))?;
    let (_, received) = line.split_whitespace().nth(4)?.split_once(':')?;
    u64::from_str_radix(received, 16).ok()
}

/// A number of `/proc/PID/status`.
fn status_of(daemon: &Daemon, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[test]
fn after_a_burst_a_daemon_is_small_and_falls_asleep() {
    const RECORDS: u64 = 10_000;
    let folder = Folder::create();
    let (active, standby, address) = pair(&folder, 2_000);
    wait_until("the burst", || statistics(address)[1] >= 40 * RECORDS);
    drop(active);
    // Without the program's own pages, of which an unoptimised build has many.
    let kilobytes = status_of(&standby, "RssAnon:");
    assert!(kilobytes < 10 << 10, "{kilobytes} KiB");

    // Four times a second it says hello, and hears that its peer is gone; once a second it looks for its
    // Jool, and every other second the simulated one wakes up. Other programs' load can only make it
    // rarer.
    let asleep = || {
        let (began, before) = (
            Instant::now(),
            status_of(&standby, "voluntary_ctxt_switches:"),
        );
        thread::sleep(Duration::from_secs(1));
        let after = status_of(&standby, "voluntary_ctxt_switches:");
        ((after - before) as f64) <= 30.0 * began.elapsed().as_secs_f64()
    };
    assert!((0..TRIES / 10).any(|_| asleep()), "it never falls asleep");
}

/// What is told to systemd, from here to the first line that begins so.
fn told_until(systemd: &UnixDatagram, beginning: &str) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let mut message = [0; 4096];
        let length = systemd
            .recv(&mut message)
            .unwrap_or_else(|error| panic!("in vain: {beginning}: {error}; {told:?}"));
        let message = String::from_utf8(message[..length].to_vec()).unwrap();
        told.extend(message.lines().map(str::to_owned));
        if told.iter().any(|line| line.starts_with(beginning)) {
            return told;
        }
    }
}

#[test]
fn systemd_is_told_how_the_daemon_stands_from_its_start_to_its_end() {
    let folder = Folder::create();
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let start = |file: &Path| {
        let mut command = Daemon::command();
        command
            .args([file.to_str().unwrap(), "--simulated-jool", "0"])
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "3000000");
        Daemon::start(&mut command)
    };
    // So that there is no Jool to work with, yet.
    let (port, peer) = (free_port(), free_port());
    let unmanaged = with(loopback(port, peer), "manage jool", false);
    let file = folder.file("pair.json", unmanaged);
    let daemon = start(&file);
    let has =
        |told: &[String], beginning: &str| told.iter().any(|line| line.starts_with(beginning));
    let mut waiting = told_until(&systemd, "EXTEND_TIMEOUT_USEC=10000000");
    waiting.extend(told_until(&systemd, "WATCHDOG=1"));
    assert!(has(&waiting, "STATUS=waiting for Jool: "), "{waiting:?}");
    assert!(!has(&waiting, "READY=1"), "{waiting:?}");

    folder.file("pair.json", loopback(port, peer).to_string());
    daemon.logs("waiting for Jool");
    daemon.signal("HUP");
    let told = told_until(&systemd, "READY=1");
    for beginning in ["RELOADING=1", "MONOTONIC_USEC=", "STATUS=joining, "] {
        assert!(has(&told, beginning), "{beginning}: {told:?}");
    }
    daemon.signal("HUP");
    assert!(!has(&told_until(&systemd, "RELOADING=1"), "READY=1"));
    told_until(&systemd, "READY=1");
    told_until(&systemd, "WATCHDOG=1");
    daemon.signal("TERM");
    // systemd goes on to show what it was told last.
    let told = told_until(&systemd, "STOPPING=1");
    assert_eq!(told.last().unwrap(), "STATUS=stopped", "{told:?}");
    drop(daemon);

    let missing = with(loopback(port, peer), "in interface", "no-such-one");
    let _daemon = start(&folder.file("missing.json", missing));
    let told = told_until(&systemd, "STATUS=");
    assert!(told.last().unwrap().contains("\"no-such-one\""), "{told:?}");
}
