//! jooldctl against running daemons on a message bus of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::Value;

use common::bus::{Bus, loopback};
use common::daemon::{Folder, Said, free_port, program, run_to_its_end};
use common::{wait_for, wait_until};

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
        "● joold@bond0.64: safe to fail over to eth0\n",
        "● joold@eth0: safe to fail over to bond0.64\n",
        "State: synced for ",
        "  eth0  joold  synced ",
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
    assert!(said.stdout.starts_with("compared: "), "{said:?}");
    assert!(said.stdout.contains(" sessions in Jool, "), "{said:?}");
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

    assert_eq!(jooldctl(&bus, &["-i", "eth0", "reload"]).status, 0);
    active.logs("INFO read the configuration again");
    let mut bad = loopback(ports[0], ports[1]);
    bad["ttl"] = 256.into();
    bus.folder.file("eth0.json", bad.to_string());
    let said = jooldctl(&bus, &["-i", "eth0", "reload"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("\"ttl\""), "{said:?}");
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
    assert_eq!(looks[0][0]["Rates"]["local-records"], 0);
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
        "jooldctl: not synced within 0.3 s: joold@a is alone: no other joold is heard\n"
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
