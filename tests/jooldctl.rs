//! jooldctl against running daemons on a message bus of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::{Value, json};

use common::bus::{Bus, loopback};
use common::daemon::{Folder, Said, free_port, program, run_to_its_end};
use common::{stock_record, wait_for, wait_until};

/// Runs jooldctl on the bus.
fn jooldctl(bus: &Bus, arguments: &[&str]) -> Said {
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address);
    run_to_its_end(command.args(arguments))
}

fn status(bus: &Bus) -> Vec<Value> {
    let said = jooldctl(bus, &["status", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn without_a_daemon_it_says_what_to_do() {
    let Some(bus) = Bus::start() else { return };
    for arguments in [&["status"][..], &["reload"], &["peers", "--json"]] {
        let said = jooldctl(&bus, arguments);
        assert_eq!((said.status, &said.stdout[..]), (69, ""), "{said:?}");
        assert!(
            said.stderr.contains("systemctl start joold@eth0"),
            "{said:?}"
        );
    }
    let said = jooldctl(&bus, &["-i", "eth9", "status"]);
    assert_eq!(said.status, 69, "{said:?}");
    assert!(
        said.stderr.contains("systemctl start joold@eth9"),
        "{said:?}"
    );
}

#[test]
fn without_a_bus_it_says_so() {
    let said = run_to_its_end(program(env!("CARGO_BIN_EXE_jooldctl")).arg("status"));
    assert_eq!(said.status, 69, "{said:?}");
    assert!(
        said.stderr.contains("the system bus cannot be reached"),
        "{said:?}"
    );
}

#[test]
fn a_bus_that_hangs_keeps_nobody_waiting() {
    let folder = Folder::create();
    let socket = folder.path().join("bus");
    // Connections are taken by the kernel, and by nobody else.
    let _hanging = UnixListener::bind(&socket).unwrap();
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    let address = format!("unix:path={}", socket.display());
    command.env("DBUS_SYSTEM_BUS_ADDRESS", address);
    let said = run_to_its_end(command.arg("status"));
    assert_eq!(said.status, 69, "{said:?}");
    let sentence = "jooldctl: the system bus cannot be reached: ";
    assert!(said.stderr.starts_with(sentence), "{said:?}");
}

#[test]
fn two_daemons_are_shown_told_apart_and_told_what_to_do() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let standby = bus.joold("bond0.64", (ports[1], ports[0]), 0);
    standby.logs("on the system bus");
    let active = bus.joold("eth0", (ports[0], ports[1]), 200);
    active.logs("on the system bus");
    wait_until("sessions of the active node on the standby", || {
        status(&bus).iter().all(|daemon| {
            let sessions = daemon["Sessions"].as_u64().unwrap();
            sessions > 0 && daemon["State"] == "synced" && daemon["FailoverSafe"] == true
        })
    });

    let daemons = status(&bus);
    let names: Vec<_> = daemons.iter().map(|daemon| &daemon["Name"]).collect();
    assert_eq!(names, ["bond0.64", "eth0"]);
    assert!(daemons[1]["Counters"]["sent-records"].as_u64().unwrap() > 0);
    assert_eq!(
        daemons[0]["Peers"][0]["Address"],
        format!("127.0.0.1:{}", ports[0])
    );

    let said = jooldctl(&bus, &["status"]);
    for part in [
        "● joold@bond0.64: fit to take over; if it dies, eth0 has everything\n",
        "● joold@eth0: fit to take over; if it dies, bond0.64 ",
        "State: synced for ",
        "  eth0  yes  synced ",
        "joold 0.1.0, Jool 4.1.15, 40-byte records\n",
        "Jool: 4.1.15, ",
    ] {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
    assert!(
        !said.stdout.contains('\x1b'),
        "no colours without a terminal: {said:?}"
    );
    let said = jooldctl(&bus, &["-i", "bond0.64", "peers"]);
    assert!(
        said.stdout.contains(&format!("127.0.0.1:{}", ports[0])),
        "{said:?}"
    );
    let said = jooldctl(&bus, &["peers", "--json"]);
    let peers: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(peers[1]["Name"], "eth0");
    assert_eq!(peers[1]["Peers"][0]["Name"], "bond0.64");
    assert_eq!(peers[1]["Peers"][0]["State"], "synced");

    let said = jooldctl(&bus, &["-i", "eth0", "resync"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.starts_with("compared with Jool: "), "{said:?}");
    assert!(said.stdout.contains(" sessions in Jool, "), "{said:?}");
    assert!(
        said.stdout.contains("\ncompared with bond0.64: "),
        "{said:?}"
    );
    let audits = &status(&bus)[1]["Counters"]["audits"];
    assert!(audits.as_u64().unwrap() >= 2, "{audits}");

    let said = jooldctl(&bus, &["reload"]);
    assert_eq!(said.status, 64, "{said:?}");
    assert!(
        said.stderr.contains("name one with -i: bond0.64, eth0"),
        "{said:?}"
    );

    let said = jooldctl(&bus, &["-i", "eth0", "advertise"]);
    assert_eq!(said.status, 0, "{said:?}");
    let announces = said.stdout.strip_prefix("announces ");
    let announces = announces.and_then(|text| text.strip_suffix(" sessions from now on\n"));
    assert!(announces.unwrap().parse::<u64>().unwrap() > 0, "{said:?}");

    let said = jooldctl(&bus, &["-i", "eth0", "log-level", "debug"]);
    assert_eq!((said.status, &said.stdout[..]), (0, "debug\n"), "{said:?}");
    let said = jooldctl(&bus, &["-i", "eth0", "log-level", "loud"]);
    assert_eq!(said.status, 1, "{said:?}");
    let sentence = "jooldctl: \"loud\" is no log level; ";
    assert!(said.stderr.starts_with(sentence), "{said:?}");
    assert_eq!(
        jooldctl(&bus, &["-i", "eth0", "log-level"]).stdout,
        "debug\n"
    );

    let reload = || jooldctl(&bus, &["-i", "eth0", "reload"]);
    let said = reload();
    assert_eq!(
        (said.status, &said.stdout[..]),
        (0, "nothing has changed\n"),
        "{said:?}"
    );
    active.logs("INFO read the configuration again: nothing has changed\n");
    let mut other = loopback(ports[0], ports[1]);
    (other["node name"], other["failback"]) = ("other".into(), "manual".into());
    bus.folder.file("eth0.json", other.to_string());
    let said = reload();
    assert_eq!(said.status, 0, "{said:?}");
    for part in [
        "changed: \"node name\", \"failback\";",
        " takes effect with the next restart: \"node name\"\n",
    ] {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
    let said = jooldctl(&bus, &["-i", "eth0", "status"]);
    let pending = " Pending: \"node name\": with the next restart\n";
    assert!(said.stdout.contains(pending), "{said:?}");
    let mut bad = loopback(ports[0], ports[1]);
    bad["ttl"] = 256.into();
    bus.folder.file("eth0.json", bad.to_string());
    let said = jooldctl(&bus, &["-i", "eth0", "reload"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("\"ttl\""), "{said:?}");
}

#[test]
fn verify_says_of_each_node_whether_it_agrees_and_why_it_cannot_be_told() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let standby = bus.joold("standby", (ports[1], ports[0]), 0);
    standby.logs("alone: no other joold is heard");
    let verify = || jooldctl(&bus, &["-i", "standby", "verify", "--timeout", "30s"]);
    let said = verify();
    let nobody = "joold@standby has heard nobody yet: there is nothing to compare with\n";
    assert_eq!((said.status, &said.stdout[..]), (2, nobody), "{said:?}");

    let active = bus.joold("active", (ports[0], ports[1]), 200);
    active.logs("on the system bus");
    wait_until("both are synced", || {
        status(&bus)
            .iter()
            .all(|daemon| daemon["State"] == "synced")
    });
    // What was active just before is not compared.
    let said = wait_for("sessions that are compared", || {
        Some(verify()).filter(|said| !said.stdout.starts_with("active: 0 "))
    });
    assert_eq!((said.status, &said.stderr[..]), (0, ""), "{said:?}");
    let line = said.stdout.strip_prefix("active: ");
    let line = line.and_then(|line| {
        line.strip_suffix(" sessions compared, they agree: nothing that it has is missing here\n")
    });
    let sessions = line.unwrap().replace(',', "");
    assert!(sessions.parse::<u64>().unwrap() > 0, "{said:?}");
    let said = jooldctl(&bus, &["-i", "active", "verify"]);
    assert_eq!(said.status, 0, "{said:?}");
    let said = jooldctl(&bus, &["-i", "standby", "peers"]);
    assert!(said.stdout.contains("COMPARED WITH "), "{said:?}");
    let said = jooldctl(&bus, &["-i", "standby", "peers", "--json"]);
    let peers: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let peer = &peers[0]["Peers"][0];
    assert!(peer["Verifications"].as_u64() > Some(0), "{peer}");
    assert!(peer["VerifiedSessions"].as_u64() > Some(0), "{peer}");
    assert_eq!(peer["DifferingSessions"], 0, "{peer}");

    // It is there, and does not answer.
    active.signal("STOP");
    let said = jooldctl(&bus, &["-i", "standby", "verify", "--timeout", "0"]);
    assert_eq!(said.status, 2, "{said:?}");
    let line = "active: not compared within 0 s: it was not done\n";
    let gone = "active: not compared: it is gone, ";
    let stdout = &said.stdout;
    assert!(stdout == line || stdout.starts_with(gone), "{said:?}");
    drop(active);
    let said = verify();
    assert_eq!(
        (said.status, said.stdout.lines().count()),
        (2, 1),
        "{said:?}"
    );
    let gone = "active: not compared: it is gone, and was not heard for ";
    assert!(said.stdout.starts_with(gone), "{said:?}");
}

#[test]
fn verify_names_who_cannot_be_compared_with_and_is_2_without_a_jool() {
    let Some(bus) = Bus::start() else { return };
    let stock = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free_port();
    let peer = stock.local_addr().unwrap().port();
    let daemon = bus.joold("eth0", (port, peer), 0);
    daemon.logs("alone: no other joold is heard");
    // Without a word about itself.
    stock.send_to(&stock_record(), ("127.0.0.1", port)).unwrap();
    wait_until("the stock node", || {
        !status(&bus)[0]["Peers"].as_array().unwrap().is_empty()
    });
    let said = jooldctl(&bus, &["verify"]);
    let line =
        "127.0.0.1: not compared: it runs the stock daemon, which does not tell what it has\n";
    assert_eq!((said.status, &said.stdout[..]), (2, line), "{said:?}");
    drop(daemon);

    let mut waiting = loopback(free_port(), free_port());
    waiting["manage jool"] = false.into();
    let file = bus.folder.file("eth1.json", waiting.to_string());
    let daemon = bus.start_joold(&[file.to_str().unwrap()], 0);
    daemon.logs("on the system bus");
    let said = jooldctl(&bus, &["verify"]);
    assert_eq!((said.status, &said.stdout[..]), (2, ""), "{said:?}");
    let sentence = "jooldctl: there is no Jool whose sessions could be compared\n";
    assert_eq!(said.stderr, sentence, "{said:?}");
    let said = jooldctl(&bus, &["verify", "--timeout", "soon"]);
    assert_eq!(said.status, 64, "{said:?}");
}

/// A `jooldctl watch --json`, of which two lines are read.
#[test]
fn watch_tells_rates_in_json_line_by_line() {
    let Some(bus) = Bus::start() else { return };
    let daemon = bus.joold("eth0", (free_port(), free_port()), 500);
    daemon.logs("on the system bus");
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    let mut watch = command
        .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
        .args(["watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let looks: Vec<Value> = lines
        .take(3)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(looks[0][0]["Rates"], json!({}));
    assert_eq!(looks[2][0]["Name"], "eth0");
    let rate = looks[2][0]["Rates"]["local-records"].as_u64().unwrap();
    assert!(rate > 0, "{looks:?}");
}

#[test]
fn watch_outlives_a_daemon_and_ends_with_its_reader() {
    let Some(bus) = Bus::start() else { return };
    let ports = (free_port(), free_port());
    let daemon = bus.joold("eth0", ports, 0);
    daemon.logs("on the system bus");
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    let mut watch = command
        .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
        .arg("watch")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut shows = |text: &str| {
        let line = lines.find(|line| line.as_ref().unwrap().contains(text));
        assert!(line.is_some(), "{text}");
    };
    shows("● joold@eth0: ");
    drop(daemon);
    shows("○ joold@eth0 has ended; `systemctl status joold@eth0` tells why");
    let daemon = bus.joold("eth0", ports, 0);
    daemon.logs("on the system bus");
    shows("● joold@eth0: ");
    drop(lines);
    let status = wait_for("the end of the watch", || watch.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_daemon_that_hangs_is_told_of_and_keeps_nobody_from_the_others() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let hanging = bus.joold("bond0.64", (ports[0], ports[1]), 0);
    let other = bus.joold("eth0", (ports[1], ports[0]), 0);
    hanging.logs("on the system bus");
    other.logs("on the system bus");
    hanging.signal("STOP");
    let sentence = "jooldctl: joold@bond0.64 does not answer; ";
    for arguments in [&["status"][..], &["peers"], &["log-level"]] {
        let arguments = [&["-i", "bond0.64"], arguments].concat();
        let said = jooldctl(&bus, &arguments);
        assert_eq!((said.status, &said.stdout[..]), (69, ""), "{said:?}");
        assert!(said.stderr.starts_with(sentence), "{said:?}");
    }
    let said = jooldctl(&bus, &["-i", "bond0.64", "fit"]);
    assert_eq!(said.status, 3, "{said:?}");
    let sentence_of_fit = "not known to be fit: joold@bond0.64 does not answer; ";
    assert!(said.stdout.starts_with(sentence_of_fit), "{said:?}");
    let said = jooldctl(&bus, &["-i", "eth0", "log-level"]);
    assert_eq!((said.status, &said.stdout[..]), (0, "info\n"), "{said:?}");
    let said = jooldctl(&bus, &["status", "--json"]);
    assert_eq!(said.status, 69, "{said:?}");
    assert!(said.stderr.starts_with(sentence), "{said:?}");
    let shown: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((shown.len(), &shown[0]["Name"]), (1, &"eth0".into()));
    hanging.signal("CONT");
    assert_eq!(status(&bus).len(), 2);
}

#[test]
fn a_script_waits_for_a_daemon_that_is_not_there_yet_until_it_is_synced() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    let mut waiting = command
        .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
        .args(["-i", "a", "wait", "--synced", "--timeout", "1m"])
        .spawn()
        .unwrap();
    let a = bus.joold("a", (ports[0], ports[1]), 0);
    a.logs("alone: no other joold is heard");
    assert_eq!(waiting.try_wait().unwrap(), None);
    let said = jooldctl(&bus, &["wait", "--synced", "--timeout", "300ms"]);
    assert_eq!((said.status, &said.stdout[..]), (75, ""), "{said:?}");
    assert_eq!(
        said.stderr,
        "jooldctl: not synced within 0.3 s: joold@a is alone: no other joold is heard, though each of \"peers\" \
         should run one that names this node in its own \"peers\"\n"
    );

    let b = bus.joold("b", (ports[1], ports[0]), 0);
    let status = wait_for("the end of the wait", || waiting.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    b.logs("on the system bus");
    let said = jooldctl(&bus, &["wait", "--synced"]);
    assert_eq!(said.status, 64, "{said:?}");
    assert!(said.stderr.contains("name one with -i: a, b"), "{said:?}");
}

#[test]
fn a_wait_in_vain_says_what_is_not_there() {
    let waits = ["wait", "--synced", "--timeout", "300ms"];
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    let said = run_to_its_end(command.args(waits));
    assert_eq!(said.status, 75, "{said:?}");
    let bus = "not synced within 0.3 s: the system bus cannot be reached";
    assert!(said.stderr.contains(bus), "{said:?}");

    let Some(bus) = Bus::start() else { return };
    let said = jooldctl(&bus, &[&["-i", "eth7"][..], &waits].concat());
    assert_eq!(said.status, 75, "{said:?}");
    let sentence = "joold@eth7 is not running; start it with";
    assert!(said.stderr.contains(sentence), "{said:?}");

    for arguments in [&["wait"][..], &["wait", "--synced", "--timeout", "soon"]] {
        let said = jooldctl(&bus, arguments);
        assert_eq!(said.status, 64, "{said:?}");
    }
}

#[test]
fn whether_a_node_is_fit_is_told_waited_for_and_taken_from_it() {
    let Some(bus) = Bus::start() else { return };
    let said = jooldctl(&bus, &["-i", "eth0", "fit"]);
    let gone = "not known to be fit: joold@eth0 is not running; start it with `systemctl start joold@eth0`\n";
    assert_eq!((said.status, &said.stdout[..]), (3, gone), "{said:?}");

    let ports = [free_port(), free_port()];
    let one = bus.joold("eth0", (ports[0], ports[1]), 100);
    one.logs("on the system bus");
    let said = jooldctl(&bus, &["-i", "eth0", "wait", "--fit", "--timeout", "0"]);
    assert_eq!(said.status, 75, "{said:?}");
    assert!(said.stderr.contains("not fit within 0 s: "), "{said:?}");
    let said = jooldctl(&bus, &["-i", "eth0", "drain", "--timeout", "0"]);
    assert_eq!(said.status, 75, "{said:?}");
    assert!(said.stdout.starts_with("waiting: "), "{said:?}");

    let other = bus.joold("eth1", (ports[1], ports[0]), 0);
    other.logs("on the system bus");
    for name in ["eth0", "eth1"] {
        let said = jooldctl(
            &bus,
            &["-i", name, "wait", "--fit", "--synced", "--timeout", "30"],
        );
        assert_eq!(said.status, 0, "{said:?}");
        wait_until("it is synced at one look", || {
            jooldctl(&bus, &["-i", name, "wait", "--synced", "--timeout", "0"]).status == 0
        });
    }
    let said = jooldctl(&bus, &["-i", "eth0", "fit"]);
    let fit = "joold@eth0 is fit to take over: it has every session that the other nodes have\n";
    assert_eq!((said.status, &said.stdout[..]), (0, fit), "{said:?}");

    let said = jooldctl(&bus, &["-i", "eth0", "drain", "--timeout", "30"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.stdout
            .contains("drained: the traffic moves to eth1 now"),
        "{said:?}"
    );
    let said = jooldctl(&bus, &["-i", "eth0", "fit"]);
    let drained = "joold@eth0 is NOT fit to take over: it is drained; `jooldctl undrain` takes the traffic back\n";
    assert_eq!((said.status, &said.stdout[..]), (2, drained), "{said:?}");
    wait_until("the other node knows", || {
        let said = jooldctl(&bus, &["-i", "eth1", "status"]);
        said.stdout
            .contains("NOBODY has everything: eth0 is not fit: drained\n")
            && said.stdout.contains("  eth0  NO   synced ")
    });
    let said = jooldctl(&bus, &["-i", "eth1", "drain", "--timeout", "0"]);
    assert_eq!(said.status, 75, "{said:?}");
    assert_eq!(jooldctl(&bus, &["-i", "eth0", "undrain"]).status, 0);
    let said = jooldctl(&bus, &["-i", "eth0", "wait", "--fit", "--timeout", "30"]);
    assert_eq!(said.status, 0, "{said:?}");
}
