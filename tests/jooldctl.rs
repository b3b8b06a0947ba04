//! jooldctl against running daemons on a message bus of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use serde_json::Value;

use common::bus::{Bus, loopback};
use common::daemon::{Said, free_port, program, run_to_its_end};
use common::wait_until;

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
fn two_daemons_are_shown_told_apart_and_told_what_to_do() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let standby = bus.joold("bond0.64", (ports[1], ports[0]), 0);
    standby.logs("on the system bus");
    let active = bus.joold("eth0", (ports[0], ports[1]), 200);
    active.logs("on the system bus");
    wait_until("sessions of the active node on the standby", || {
        status(&bus)[0]["Sessions"].as_u64().unwrap() > 0
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
        "● joold@bond0.64 ",
        "● joold@eth0 ",
        "State: running for ",
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
    assert!(
        jooldctl(&bus, &["-i", "eth0", "peers"])
            .stdout
            .contains("nobody")
    );

    let said = jooldctl(&bus, &["reload"]);
    assert_eq!(said.status, 64, "{said:?}");
    assert!(
        said.stderr.contains("name one with -i: bond0.64, eth0"),
        "{said:?}"
    );

    let said = jooldctl(&bus, &["-i", "eth0", "advertise"]);
    assert_eq!(said.status, 0, "{said:?}");
    let sent: u64 = said.stdout.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(sent > 0, "{said:?}");

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
