//! jooldctl and the keys of two running daemons, on a message bus of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use common::bus::{Bus, loopback};
use common::daemon::{Daemon, Said, free_port, program, run_to_its_end};
use common::wait_until;

/// Runs jooldctl on the bus.
fn jooldctl(bus: &Bus, arguments: &[&str]) -> Said {
    let mut command = program(env!("CARGO_BIN_EXE_jooldctl"));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address);
    run_to_its_end(command.args(arguments))
}

#[test]
fn keys_are_made_listed_and_refused_where_others_can_read_them() {
    let Some(bus) = Bus::start() else { return };
    let key = |arguments: &[&str]| {
        let said = jooldctl(&bus, &[&["key", "generate"], arguments].concat());
        assert_eq!(said.status, 0, "{said:?}");
        said.stdout
    };
    let (sent, other) = (key(&["7", "--send"]), key(&[]));
    assert!(
        sent.starts_with("7 ") && sent.ends_with("= send\n"),
        "{sent}"
    );
    assert!(other.starts_with("1 ") && other.ends_with("=\n"), "{other}");
    assert_ne!(sent[2..45], other[2..45]);
    let files = ["a", "b"].map(|name| {
        let keys = if name == "a" { &other } else { "" };
        let file = bus
            .folder
            .file(&format!("{name}.keys"), format!("{sent}{keys}"));
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        file
    });
    let ports = [free_port(), free_port()];
    let daemons = [("a", 0), ("b", 1)].map(|(name, end)| {
        let mut configuration = loopback(ports[end], ports[1 - end]);
        configuration["node name"] = name.into();
        configuration["seal"] = "send".into();
        configuration["key file"] = files[end].to_str().unwrap().into();
        let file = format!("{name}.json");
        let file = bus.folder.file(&file, configuration.to_string());
        bus.start_joold(&[file.to_str().unwrap()], 10)
    });
    let list = || jooldctl(&bus, &["-i", "a", "key", "list"]).stdout;
    wait_until("both nodes to know each other's keys", || {
        list().contains("this one (sends), b (sends)")
    });
    let listed = list();
    for part in [
        "joold@a: frames leave sealed with key 7, but OPEN ones are still taken\n",
        "  1      ",
        "  this one; NOT b\n",
        "\"seal\": \"require\" is safe here",
        "`send` may not move to key 1 yet: b",
    ] {
        assert!(listed.contains(part), "{part}:\n{listed}");
    }
    assert!(!listed.contains(&sent[2..20]), "{listed}");
    let said = jooldctl(&bus, &["key", "list", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(listed[1]["SealKeys"][0]["Id"], 7);
    wait_until("the other to know it, too", || {
        let said = jooldctl(&bus, &["-i", "b", "peers"]);
        said.stdout.contains(", sealed, has the keys 7, 1\n")
    });
    let said = jooldctl(&bus, &["-i", "b", "status"]);
    assert!(
        said.stdout.contains("Seal: frames leave sealed with key 7"),
        "{said:?}"
    );
    // A reload, a check and a start say what is wrong, and never the secret.
    fs::set_permissions(&files[0], Permissions::from_mode(0o644)).unwrap();
    let said = jooldctl(&bus, &["-i", "a", "reload"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("a.keys: others may read"), "{said:?}");
    let file = bus.folder.path().join("a.json");
    let said = jooldctl(&bus, &["check", file.to_str().unwrap()]);
    assert_eq!(said.status, 78, "{said:?}");
    assert!(said.stderr.contains("a.keys: others may read"), "{said:?}");
    let [a, _b] = daemons;
    let (_, log) = a.stop("TERM");
    assert!(
        log.contains("sealed: frames leave sealed with key 7 ("),
        "{log}"
    );
    let mut again = Daemon::command();
    again.arg(&file).args(["--simulated-jool", "0"]);
    let said = run_to_its_end(&mut again);
    assert_eq!(said.status, 78, "{said:?}");
    assert!(said.stderr.contains("a.keys: others may read"), "{said:?}");
    assert!(!log.contains(&sent[2..20]) && !said.stderr.contains(&sent[2..20]));
    // systemd's credential, where the configuration names no file.
    let credential = bus.folder.file("joold.keys", &sent);
    fs::set_permissions(&credential, Permissions::from_mode(0o400)).unwrap();
    let mut configuration = loopback(ports[0], ports[1]);
    configuration["seal"] = "require".into();
    let file = bus.folder.file("c.json", configuration.to_string());
    let mut with_credential = Daemon::command();
    with_credential
        .arg(file)
        .args(["--simulated-jool", "0"])
        .env("CREDENTIALS_DIRECTORY", bus.folder.path());
    Daemon::start(&mut with_credential).logs("sealed: frames leave sealed with key 7 (");
}
