//! The daemon on a bus of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use zbus::{OwnedVariant, Variant, connection, fdo, interface};

use common::bus::{
    Bus, INTERFACE, LOG_INTERFACE, LOG_PATH, PATH, PROPERTIES, error_of, loopback, own_user,
    runtime, skipped,
};
use common::daemon::{Said, free_port, program, run_to_its_end};
use common::{stock_record, wait_for, wait_until};

/// The lines of joold's own interface in an XML.
fn own_interface(xml: &str) -> Vec<&str> {
    let lines = xml.lines().map(str::trim);
    let mut lines = lines.skip_while(|line| *line != r#"<interface name="mx.jool.Joold1">"#);
    let mut own: Vec<_> = lines
        .by_ref()
        .take_while(|line| *line != "</interface>")
        .collect();
    own.push("</interface>");
    assert!(own.len() > 20, "{own:?}");
    own
}

#[test]
fn the_daemon_exports_what_the_xml_says() {
    let Some(bus) = Bus::start() else { return };
    let daemon = bus.joold("pair", (free_port(), free_port()), 0);
    daemon.logs("INFO on the system bus as mx.jool.Joold1.pair\n");
    let exported = bus.client().introspect("pair");
    let declared = include_str!("../dbus/mx.jool.Joold1.xml");
    assert_eq!(own_interface(&exported), own_interface(declared));
}

#[test]
fn the_properties_tell_what_an_operator_asks() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let standby = bus.joold("standby", (ports[1], ports[0]), 0);
    standby.logs("on the system bus");
    let active = bus.joold("active", (ports[0], ports[1]), 200);
    active.logs("on the system bus");
    let client = bus.client();
    wait_until("sessions of the active node on the standby", || {
        client.property::<u64>("standby", "Sessions") > 0
            && client.property::<String>("standby", "State") == "synced"
            && client.property::<bool>("standby", "FailoverSafe")
    });

    let text = |property| client.property::<String>("standby", property);
    for (property, expected) in [
        ("Name", "standby".to_owned()),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("State", "synced".to_owned()),
        ("StateReason", String::new()),
        ("FailoverTo", "active".to_owned()),
        ("FailoverReason", String::new()),
        ("Fitness", "synced".to_owned()),
        ("NodeName", "standby".to_owned()),
        ("ClusterName", "default".to_owned()),
        ("Namesake", String::new()),
        ("Instance", "default".to_owned()),
        ("JoolVersion", "4.1.15".to_owned()),
        ("Pool6", "64:ff9b::/96".to_owned()),
        ("RecordFormat", "40".to_owned()),
        ("LocalAddress", format!("127.0.0.1:{}", ports[1])),
        ("Group", String::new()),
        ("ReceiveInterface", "127.0.0.1".to_owned()),
        ("LastError", String::new()),
    ] {
        assert_eq!(text(property), expected, "{property}");
    }
    let list = |property| client.property::<Vec<String>>("standby", property);
    let file = bus.folder.path().join("standby.json");
    assert_eq!(list("ConfigurationFiles"), [file.to_str().unwrap()]);
    assert_eq!(list("ConfigurationProblems"), [""; 0]);
    assert_eq!(list("ConfiguredPeers"), [format!("127.0.0.1:{}", ports[0])]);
    let year_2020 = 1_577_836_800_000_000;
    assert!(client.property::<bool>("standby", "Fit"));
    let successors: Vec<(String, u64)> = client.property("standby", "Successors");
    assert_eq!(successors[0].0, "active");
    for property in ["StateSince", "FitnessSince", "ConfigurationLoaded"] {
        let time: u64 = client.property("standby", property);
        assert!(time > year_2020, "{property}: {time}");
    }

    let identity = text("NodeId");
    assert!(
        identity.len() == 16 && u64::from_str_radix(&identity, 16).is_ok_and(|number| number > 0),
        "{identity}"
    );
    assert!(client.property::<u64>("standby", "KnownSessions") > 0);
    assert!(client.property::<u64>("active", "Position") > 0);
    let audit: HashMap<String, OwnedVariant> = client.property("active", "LastAudit");
    let number = |key: &str| u64::try_from(audit[key].clone()).unwrap();
    assert!(number("Ended") > year_2020);
    assert_eq!((number("Injected"), audit.len()), (0, 5), "{audit:?}");
    let transfer: HashMap<String, OwnedVariant> = client.property("active", "Transfer");
    assert!(transfer.is_empty(), "{transfer:?}");

    let counters: BTreeMap<String, u64> = client.property("standby", "Counters");
    assert!(counters["received-records"] > 0, "{counters:?}");
    assert_eq!(counters["received-rejected-malformed"], 0);
    let peers: Vec<HashMap<String, OwnedVariant>> = client.property("standby", "Peers");
    let [peer] = &peers[..] else {
        panic!("{peers:?}")
    };
    let address = Variant::from(format!("127.0.0.1:{}", ports[0]));
    assert_eq!(*peer["Address"], address);
    let number = |key: &str| u64::try_from(peer[key].clone()).unwrap();
    assert!(number("Datagrams") > 0 && number("Records") > 0, "{peer:?}");
    assert_eq!(
        (number("Rejected"), number("Behind"), number("Lag")),
        (0, 0, 0)
    );
    assert!(number("Sessions") > 0, "{peer:?}");
    assert!(number("LastHeard") > year_2020);
    for (key, expected) in [
        ("Kind", "joold"),
        ("Name", "active"),
        ("State", "synced"),
        ("Fitness", "synced"),
        ("FitnessWords", "synced"),
        ("Version", env!("CARGO_PKG_VERSION")),
        ("JoolVersion", "4.1.15"),
        ("RecordFormat", "40"),
    ] {
        assert_eq!(*peer[key], Variant::from(expected), "{key}");
    }
    assert_eq!(*peer["Present"], Variant::from(true));
    for key in ["Verifications", "LastVerified", "DifferingSessions"] {
        assert_eq!(number(key), 0, "{key}");
    }
    let drift = Vec::<String>::try_from(peer["Drift"].clone()).unwrap();
    assert_eq!((drift, peer.len()), (Vec::new(), 28), "{peer:?}");

    let all = client.properties("standby");
    let declared = include_str!("../dbus/mx.jool.Joold1.xml");
    assert_eq!(all.len(), declared.matches("<property ").count());
}

#[test]
fn what_went_wrong_with_the_network_is_the_last_error() {
    let Some(bus) = Bus::start() else { return };
    let mut configuration = loopback(free_port(), free_port());
    // From loopback's address nothing gets there, so nothing leaves this machine.
    configuration["peers"] = ["203.0.113.1"].into();
    let file = bus.folder.file("pair.json", configuration.to_string());
    let daemon = bus.start_joold(&[file.to_str().unwrap()], 0);
    daemon.logs("on the system bus");
    let client = bus.client();
    let error = wait_for("an error", || {
        let error: String = client.property("pair", "LastError");
        (!error.is_empty()).then_some(error)
    });
    assert!(error.contains("203.0.113.1"), "{error}");
    daemon.logs(&format!("WARN {error}\n"));
}

#[test]
fn advertise_sends_the_table_and_says_how_many_sessions() {
    let Some(bus) = Bus::start() else { return };
    let daemon = bus.joold("pair", (free_port(), free_port()), 500);
    daemon.logs("on the system bus");
    let client = bus.client();
    let sessions = wait_for("sessions", || {
        let sessions: u64 = client.property("pair", "KnownSessions");
        (sessions > 0).then_some(sessions)
    });
    let advertised: u64 = client
        .call("pair", (PATH, INTERFACE, "Advertise"), &())
        .unwrap();
    assert!(advertised >= sessions, "{advertised} of {sessions}");
}

#[test]
fn a_stock_node_is_listed_by_its_address_and_nobody_can_fail_over_to_it() {
    let Some(bus) = Bus::start() else { return };
    let stock = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = stock.local_addr().unwrap();
    let port = free_port();
    let daemon = bus.joold("pair", (port, address.port()), 0);
    daemon.logs("alone: no other joold is heard");
    daemon.logs("on the system bus");
    // Without a word about itself.
    stock.send_to(&stock_record(), ("127.0.0.1", port)).unwrap();
    let client = bus.client();
    let peer = wait_for("the peer", || {
        let mut peers: Vec<HashMap<String, OwnedVariant>> = client.property("pair", "Peers");
        peers.pop()
    });
    for (key, expected) in [
        ("Kind", "stock"),
        ("Name", "127.0.0.1"),
        ("Address", &address.to_string()),
        ("State", ""),
        ("RecordFormat", ""),
    ] {
        assert_eq!(*peer[key], Variant::from(expected), "{key}");
    }
    assert_eq!(*peer["Present"], Variant::from(true));
    assert_eq!(client.property::<String>("pair", "State"), "alone");
    let reason: String = client.property("pair", "StateReason");
    assert_eq!(reason, "no other joold is heard");
    assert!(!client.property::<bool>("pair", "FailoverSafe"));
    assert_eq!(client.property::<String>("pair", "FailoverTo"), "");
    let reason: String = client.property("pair", "FailoverReason");
    assert!(reason.contains("stock"), "{reason}");
}

#[test]
fn a_resync_compares_the_tables() {
    let Some(bus) = Bus::start() else { return };
    let daemon = bus.joold("pair", (free_port(), free_port()), 500);
    daemon.logs("on the system bus");
    let client = bus.client();
    let audits = || client.property::<BTreeMap<String, u64>>("pair", "Counters")["audits"];
    wait_until("the first audit", || audits() == 1);
    let () = client
        .call("pair", (PATH, INTERFACE, "Resync"), &())
        .unwrap();
    wait_until("another audit", || audits() == 2);
}

#[test]
fn a_verification_compares_with_the_other_nodes_and_tells_it_of_each() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let standby = bus.joold("standby", (ports[1], ports[0]), 0);
    standby.logs("on the system bus");
    let client = bus.client();
    let verify = || client.call::<()>("standby", (PATH, INTERFACE, "Verify"), &());
    let active = bus.joold("active", (ports[0], ports[1]), 200);
    active.logs("on the system bus");
    wait_until("both are synced", || {
        ["standby", "active"]
            .iter()
            .all(|name| client.property::<String>(name, "State") == "synced")
    });
    let peer = || {
        let mut peers: Vec<HashMap<String, OwnedVariant>> = client.property("standby", "Peers");
        peers.pop().unwrap()
    };
    let number =
        |peer: &HashMap<String, OwnedVariant>, key: &str| u64::try_from(peer[key].clone()).unwrap();
    verify().unwrap();
    let first = wait_for("a verification", || {
        Some(peer()).filter(|peer| number(peer, "Verifications") == 1)
    });
    let year_2020 = 1_577_836_800_000_000;
    assert!(number(&first, "LastVerified") > year_2020, "{first:?}");
    assert_eq!(number(&first, "DifferingSessions"), 0, "{first:?}");
    verify().unwrap();
    wait_until("another one", || number(&peer(), "Verifications") == 2);
    let counters: BTreeMap<String, u64> = client.property("standby", "Counters");
    assert_eq!(counters["verifications"], 2);
}

#[test]
fn a_reload_is_all_or_nothing_and_names_every_problem() {
    let Some(bus) = Bus::start() else { return };
    let ports = (free_port(), free_port());
    let daemon = bus.joold("pair", ports, 0);
    daemon.logs("on the system bus");
    let client = bus.client();
    let signals = bus.signals();

    let broken = r#"{ "multicast port": 0, "ttl": 999, "nonsense": 1 }"#;
    bus.folder.file("pair.json", broken);
    let (name, message) = error_of(client.reload("pair"));
    assert_eq!(name, "mx.jool.Joold1.Error.Configuration");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 3, "{message}");
    for key in ["multicast port", "ttl", "nonsense"] {
        assert!(message.contains(&format!("\"{key}\"")), "{message}");
    }
    let problems: Vec<String> = client.property("pair", "ConfigurationProblems");
    assert_eq!(problems, lines);
    let address: String = client.property("pair", "LocalAddress");
    assert_eq!(address, format!("127.0.0.1:{}", ports.0));
    signals.logs("string \"ConfigurationProblems\"");

    let mut missing = loopback(ports.0, ports.1);
    missing["out interface"] = "no-such-one".into();
    bus.folder.file("pair.json", missing.to_string());
    let (_, message) = error_of(client.reload("pair"));
    assert!(message.contains("\"no-such-one\""), "{message}");

    let moved = free_port();
    bus.folder
        .file("pair.json", loopback(moved, ports.1).to_string());
    client.reload("pair").unwrap();
    let problems: Vec<String> = client.property("pair", "ConfigurationProblems");
    assert_eq!(problems, [""; 0]);
    let address: String = client.property("pair", "LocalAddress");
    assert_eq!(address, format!("127.0.0.1:{moved}"));
    signals.logs(&format!("string \"127.0.0.1:{moved}\""));
    assert!(!signals.log().contains("string \"Counters\""));
}

#[test]
fn states_and_peers_are_announced() {
    let Some(bus) = Bus::start() else { return };
    let ports = [free_port(), free_port()];
    let mut configuration = loopback(ports[1], ports[0]);
    configuration["manage jool"] = false.into();
    let file = bus.folder.file("standby.json", configuration.to_string());
    let standby = bus.start_joold(&[file.to_str().unwrap()], 0);
    standby.logs("on the system bus");
    let client = bus.client();
    let state = || client.property::<String>("standby", "State");
    assert_eq!(state(), "waiting");
    let reason: String = client.property("standby", "StateReason");
    assert!(!reason.is_empty());
    let failover: String = client.property("standby", "FailoverReason");
    assert_eq!(failover, "this node has no Jool");
    let advertised = client.call::<u64>("standby", (PATH, INTERFACE, "Advertise"), &());
    let compared = client.call::<()>("standby", (PATH, INTERFACE, "Resync"), &());
    let verified = client.call::<()>("standby", (PATH, INTERFACE, "Verify"), &());
    for error in [error_of(advertised), error_of(compared), error_of(verified)] {
        let (name, message) = error;
        assert_eq!(name, "mx.jool.Joold1.Error.Unavailable");
        assert!(message.contains("there is no Jool"), "{message}");
    }

    let signals = bus.signals();
    configuration["manage jool"] = true.into();
    bus.folder.file("standby.json", configuration.to_string());
    client.reload("standby").unwrap();
    signals.logs("member=StateChanged");
    wait_until("a state without others", || state() == "alone");
    signals.logs("string \"alone\"");
    let log = signals.log();
    let properties = log.split_once("string \"State\"").unwrap().1;
    let value = properties.lines().nth(1).unwrap();
    assert!(!value.contains("string \"waiting\""), "{log}");

    let active = bus.joold("active", (ports[0], ports[1]), 200);
    signals.logs("member=PeerAppeared");
    signals.logs(&format!("string \"127.0.0.1:{}\"", ports[0]));
    wait_until("the state with another", || state() == "synced");
    signals.logs("string \"synced\"");
    signals.logs("string \"FailoverSafe\"");
    assert!(!signals.log().contains("member=PeerLost"));
    drop(active);
    // After 1.25 s, and not after the 60 s of a stock node.
    signals.logs("member=PeerLost");
    wait_until("the state without another", || state() == "alone");
    let log = signals.log();
    for property in [
        "Position",
        "KnownSessions",
        "Announcing",
        "Peers",
        "LastAudit",
    ] {
        assert!(!log.contains(&format!("string \"{property}\"")), "{log}");
    }
}

#[test]
fn the_log_level_is_set_at_run_time() {
    let Some(bus) = Bus::start() else { return };
    let file = loopback(free_port(), free_port()).to_string();
    let file = bus.folder.file("pair.json", file);
    // The name given is stronger than the file's.
    let arguments = [file.to_str().unwrap(), "--name", "bond0.64"];
    let daemon = bus.start_joold(&arguments, 0);
    daemon.logs("on the system bus as mx.jool.Joold1.bond0_2e64\n");
    let (client, name) = (bus.client(), "bond0_2e64");
    let text = |property| client.property_of::<String>(name, LOG_PATH, LOG_INTERFACE, property);
    assert_eq!(client.property::<String>(name, "Name"), "bond0.64");
    assert_eq!(text("LogLevel"), "info");
    assert_eq!(text("LogTarget"), "console");
    assert_eq!(text("SyslogIdentifier"), "joold");

    let reloads = || daemon.log().matches("read the configuration again").count();
    client.reload(name).unwrap();
    wait_until("a line at level info", || reloads() == 1);
    client.set_log(name, "LogLevel", "warning").unwrap();
    assert_eq!(text("LogLevel"), "warning");
    client.reload(name).unwrap();
    client.set_log(name, "LogLevel", "debug").unwrap();
    assert_eq!(text("LogLevel"), "debug");
    client.reload(name).unwrap();
    wait_until("a line at level debug", || reloads() == 2);

    let (error, message) = error_of(client.set_log(name, "LogLevel", "loud"));
    assert_eq!(error, "org.freedesktop.DBus.Error.InvalidArgs");
    assert!(message.contains("accepted: debug, info"), "{message}");
    client.set_log(name, "LogTarget", "console").unwrap();
    let (error, _) = error_of(client.set_log(name, "LogTarget", "journal"));
    assert_eq!(error, "org.freedesktop.DBus.Error.NotSupported");
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn without_a_bus_it_goes_on_and_it_comes_back_to_a_bus_that_restarts() {
    let Some(mut bus) = Bus::prepare(true) else {
        return;
    };
    let daemon = bus.joold("pair", (free_port(), free_port()), 0);
    daemon.logs("INFO there is no system bus; ");
    daemon.logs("alone: no other joold is heard");
    bus.run();
    daemon.logs("on the system bus");
    assert_eq!(bus.client().property::<String>("pair", "State"), "alone");
    bus.kill();
    daemon.logs("WARN the system bus is gone; ");
    bus.run();
    let joined = || daemon.log().matches("on the system bus as").count();
    wait_until("the daemon is back", || joined() == 2);
    assert_eq!(bus.client().property::<String>("pair", "State"), "alone");
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches("there is no system bus").count(), 1, "{log}");
}

#[test]
fn a_second_daemon_of_the_same_name_says_so_and_takes_over() {
    let Some(bus) = Bus::start() else { return };
    let first = bus.joold("pair", (free_port(), free_port()), 0);
    first.logs("on the system bus");
    let second = bus.joold("pair", (free_port(), free_port()), 0);
    second.logs("ERROR mx.jool.Joold1.pair is taken on the system bus: `busctl status mx.jool");
    second.logs("attached to Jool");
    drop(first);
    second.logs("INFO on the system bus as mx.jool.Joold1.pair\n");
}

#[test]
fn a_bus_that_forbids_the_name_is_told_of_with_the_remedy() {
    let Some(mut bus) = Bus::prepare(false) else {
        return;
    };
    bus.run();
    let daemon = bus.joold("pair", (free_port(), free_port()), 0);
    daemon.logs("WARN the system bus does not let this user own mx.jool.Joold1.pair: ");
    daemon.logs("attached to Jool");
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
}

/// Whether it is allowed, and whether it would be with a password.
type Answer = Arc<Mutex<(bool, bool)>>;
/// The action and the flags of every question.
type Asked = Arc<Mutex<Vec<(String, u32)>>>;

/// In the place of polkit. It allows nothing until it is told to.
#[derive(Clone, Default)]
struct Authority {
    answer: Answer,
    asked: Asked,
}

impl Authority {
    /// Answers on the bus from now on, on a thread of its own.
    fn play(bus: &Bus) -> (Answer, Asked) {
        let authority = Self::default();
        let Self { answer, asked } = authority.clone();
        let address = bus.address.clone();
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            runtime().block_on(async {
                let connection = connection::Builder::address(&address[..])
                    .serve_at("/org/freedesktop/PolicyKit1/Authority", authority)
                    .name("org.freedesktop.PolicyKit1")
                    .build()
                    .await
                    .unwrap();
                ready.send(()).unwrap();
                connection.closed().await;
            });
        });
        is_ready.recv().unwrap();
        (answer, asked)
    }
}

type Subject = (String, HashMap<String, OwnedVariant>);

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: Subject,
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        cancellation: &str,
    ) -> fdo::Result<(bool, bool, HashMap<String, String>)> {
        let (kind, names) = subject;
        let sender = String::try_from(names["name"].clone()).unwrap();
        assert_eq!((&kind[..], names.len()), ("system-bus-name", 1));
        assert!(sender.starts_with(':') && details.is_empty() && cancellation.is_empty());
        self.asked.lock().unwrap().push((action, flags));
        let (allowed, challenge) = *self.answer.lock().unwrap();
        Ok((allowed, challenge, details))
    }
}

/// Has a user who is neither root nor joold's call a method.
fn as_nobody(bus: &Bus, path: &str, arguments: &[&str]) -> Said {
    let mut command = program("dbus-send");
    command
        .arg(format!("--bus={}", bus.address))
        .args(["--print-reply", "--dest=mx.jool.Joold1.pair", path])
        .args(arguments)
        .uid(65534)
        .gid(65534);
    run_to_its_end(&mut command)
}

#[test]
fn other_users_may_read_and_may_change_what_polkit_allows() {
    if own_user() != 0 {
        skipped("calling as another user needs root");
        return;
    }
    let Some(bus) = Bus::start() else { return };
    let daemon = bus.joold("pair", (free_port(), free_port()), 0);
    daemon.logs("on the system bus");
    daemon.logs("alone: no other joold is heard");
    let set = format!("{PROPERTIES}.Set");
    let level = format!("string:{LOG_INTERFACE}");
    let reload = [format!("{INTERFACE}.Reload")];
    let advertise = [format!("{INTERFACE}.Advertise")];
    let resync = [format!("{INTERFACE}.Resync")];
    let verify = [format!("{INTERFACE}.Verify")];
    let set_level = [
        set,
        level,
        "string:LogLevel".into(),
        "variant:string:debug".into(),
    ];
    let changes: [(&str, &[String], &str); 5] = [
        (PATH, &reload, "mx.jool.joold1.reload"),
        (PATH, &advertise, "mx.jool.joold1.advertise"),
        (PATH, &resync, "mx.jool.joold1.resync"),
        (PATH, &verify, "mx.jool.joold1.verify"),
        (LOG_PATH, &set_level, "mx.jool.joold1.set-log-level"),
    ];
    let try_all = |denied: &str, message: &str| {
        for (path, arguments, action) in changes {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = as_nobody(&bus, path, &arguments);
            let fine = said.stderr.contains(denied) && said.stderr.contains(message);
            assert_eq!(
                (said.status == 0, fine),
                (denied.is_empty(), true),
                "{action}: {said:?}"
            );
        }
    };

    let get_all = format!("{PROPERTIES}.GetAll");
    let read = as_nobody(&bus, PATH, &[&get_all, &format!("string:{INTERFACE}")]);
    assert_eq!(read.status, 0, "{read:?}");
    assert!(read.stdout.contains("StateReason"), "{read:?}");
    try_all("AccessDenied", "polkit does not run here; run this as root");

    let (answer, asked) = Authority::play(&bus);
    try_all("AccessDenied", "polkit does not allow it");
    *answer.lock().unwrap() = (false, true);
    try_all("InteractiveAuthorizationRequired", "asks for a password");
    *answer.lock().unwrap() = (true, false);
    try_all("", "");
    let once = changes.map(|(_, _, action)| (action.to_owned(), 0));
    let expected = [once.clone(), once.clone(), once].concat();
    assert_eq!(*asked.lock().unwrap(), expected);

    // The daemon's own user, and root, need no polkit.
    *answer.lock().unwrap() = (false, false);
    bus.client().reload("pair").unwrap();
    assert_eq!(asked.lock().unwrap().len(), 15);
}
