//! Both programs from the outside: what they are given, what they say, how they end. Nothing here
//! needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use common::bus::skipped;
use common::daemon::{
    Daemon, Folder, Said, free_port, loopback, program, run_to_its_end, statistics, with,
};

fn joold(arguments: &[&str]) -> Said {
    run_to_its_end(Daemon::command().args(arguments))
}

fn jooldctl(arguments: &[&str]) -> Said {
    run_to_its_end(program(env!("CARGO_BIN_EXE_jooldctl")).args(arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn wrong_usage_is_64_with_a_hint_on_stderr() {
    for arguments in [
        &["--nonsense"][..],
        &["a.json", "b.json", "45678", "more"],
        &["--simulated-jool"],
        &["--simulated-jool", "-1"],
        &["--simulated-jool", "100001"],
        &["--simulated-jool", "many"],
        &["--interface"],
    ] {
        let said = joold(arguments);
        assert_eq!(said.status, 64, "{arguments:?}: {said:?}");
        assert!(said.stderr.contains("--help"), "{said:?}");
        assert_eq!(said.stdout, "");
    }
    for arguments in [
        &[][..],
        &["nonsense"],
        &["check"],
        &["check", "a.json", "b.json", "more"],
        &["demo", "--nonsense"],
    ] {
        let said = jooldctl(arguments);
        assert_eq!(said.status, 64, "{arguments:?}: {said:?}");
        assert!(said.stderr.contains("Usage: "), "{said:?}");
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn help_and_version_are_0_on_stdout() {
    for (name, run) in [
        ("joold", joold as fn(&[&str]) -> Said),
        ("jooldctl", jooldctl),
    ] {
        let help = run(&["--help"]);
        assert_eq!((help.status, &help.stderr[..]), (0, ""), "{help:?}");
        assert!(help.stdout.contains(&format!("Usage: {name}")), "{help:?}");
        let version = run(&["--version"]);
        let expected = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            (version.status, version.stdout, &version.stderr[..]),
            (0, expected, "")
        );
    }
    let help = joold(&["--help"]).stdout;
    for status in ["0 stopped", "64 usage", "69 no Jool", "71", "77", "78"] {
        assert!(help.contains(status), "{status} is missing:\n{help}");
    }
}

/// Contents that are refused, and what is said of each after the file's name.
fn refused_contents() -> Vec<(String, &'static [&'static str])> {
    let cases: [(&str, &'static [&'static str]); 15] = [
        ("", &[": the file is empty"]),
        ("[]", &[": the file holds an array; accepted: an object"]),
        (
            "{ \"ttl\": 1,\n }",
            &[": line 2, column 2: this is not JSON"],
        ),
        (
            "{ \"ttl\": 1",
            &[": line 1, column 10: the JSON is cut short"],
        ),
        ("{} {}", &["something follows the end of the object"]),
        (
            r#"{ "multicast adress": "ff15::1" }"#,
            &[": \"multicast adress\": unknown key; did you mean \"multicast address\"?"],
        ),
        (
            r#"{ "multicast address": "192.0.2.1" }"#,
            &[": \"multicast address\": "],
        ),
        (
            r#"{ "multicast address": "ff02::1" }"#,
            &["name it with \"out interface\""],
        ),
        (r#"{ "multicast port": 0 }"#, &["0 is out of range"]),
        (
            r#"{ "multicast port": "no-such-service" }"#,
            &[": \"multicast port\": "],
        ),
        (r#"{ "peers": ["::"] }"#, &[": \"peers\": entry 1: "]),
        (
            r#"{ "peers": ["192.0.2.7", "2001:db8::7"] }"#,
            &["addresses of one family"],
        ),
        (
            r#"{ "ttl": 1, "ttl": 2 }"#,
            &[": \"ttl\": the key was already given"],
        ),
        (
            r#"{ "instance": "sixteen-letters-" }"#,
            &[": \"instance\": "],
        ),
        (
            r#"{ "ttl": 256, "queue capacity": 1, "flush interval": null, "record format": 41,
                 "jool wait": -1, "manage jool": "yes", "reuseaddr": 2, "statistics address": "x" }"#,
            &[
                ": \"ttl\": 256 is out of range",
                ": \"queue capacity\": 1 is out of range",
                ": \"flush interval\": null is of the wrong type",
                ": \"record format\": ",
                ": \"jool wait\": ",
                ": \"manage jool\": ",
                ": \"reuseaddr\": ",
                ": \"statistics address\": ",
            ],
        ),
    ];
    cases
        .into_iter()
        .map(|(content, parts)| (content.to_owned(), parts))
        .collect()
}

#[test]
fn a_configuration_that_is_wrong_is_78_with_all_problems_in_the_words_of_jooldctl_check() {
    let folder = Folder::create();
    for (content, parts) in refused_contents() {
        let path = folder.file("wrong.json", &content);
        let daemon = joold(&["--simulated-jool", "0", text(&path)]);
        let check = jooldctl(&["check", text(&path)]);
        assert_eq!((daemon.status, check.status), (78, 78), "{content}");
        for part in parts {
            assert!(check.stderr.contains(part), "{content}: {}", check.stderr);
        }
        assert!(
            check
                .stderr
                .lines()
                .all(|line| line.starts_with(text(&path)))
        );
        assert_eq!(log_of(&check), daemon.stderr);
        assert_eq!(
            (daemon.stdout, check.stdout),
            (String::new(), String::new())
        );
    }
}

/// What the daemon logs where `jooldctl check` says this.
fn log_of(check: &Said) -> String {
    check
        .stderr
        .lines()
        .map(|line| format!("ERROR {line}\n"))
        .collect()
}

#[test]
fn an_interface_that_is_not_there_is_71_since_it_may_come() {
    let folder = Folder::create();
    for interface in ["no-such-one", "203.0.113.1"] {
        let content =
            json!({ "multicast address": "233.252.0.64", "in interface": interface }).to_string();
        let path = folder.file("early.json", &content);
        let daemon = joold(&["--simulated-jool", "0", text(&path)]);
        let check = jooldctl(&["check", text(&path)]);
        // The file may be another host's.
        assert_eq!((daemon.status, check.status), (71, 0), "{content}");
        assert!(daemon.stderr.contains(interface), "{daemon:?}");
        assert!(
            check.stderr.starts_with("jooldctl: on this host "),
            "{check:?}"
        );
        assert!(check.stderr.contains(interface), "{check:?}");
    }
}

#[test]
fn files_that_cannot_be_read_and_arguments_that_are_wrong_are_78_all_at_once() {
    let folder = Folder::create();
    let missing = folder.path().join("missing.json");
    let other = folder.file("modsocket.json", r#"{ "instance": 5, "ttl": 1 }"#);
    let files = [text(&missing), text(&other)];
    let check = jooldctl(&["check", "--interface", "no-such-one", files[0], files[1]]);
    let daemon = joold(&["--interface", "no-such-one", files[0], files[1]]);
    assert_eq!((check.status, daemon.status), (78, 78));
    assert_eq!(log_of(&check), daemon.stderr);
    for part in [
        "missing.json: the file cannot be read (No such file or directory",
        "modsocket.json: \"instance\": the number 5 is of the wrong type",
        "modsocket.json: \"ttl\": this key belongs in",
    ] {
        assert!(check.stderr.contains(part), "{part}: {}", check.stderr);
    }
    let port = joold(&[files[0], files[1], "70000"]);
    assert_eq!(port.status, 78);
    assert!(
        port.stderr
            .contains("ERROR command line: \"statistics port\": "),
        "{}",
        port.stderr
    );
    assert!(port.stderr.starts_with(&daemon.stderr));
}

#[test]
fn a_wrong_configuration_opens_nothing() {
    // Both addresses are taken, which whoever opens one of them finds out.
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut configuration = loopback(port, free_port());
    configuration["reuseaddr"] = 0.into();
    configuration["statistics address"] = format!("127.0.0.1:{port}").into();
    let folder = Folder::create();
    let good = folder.file("good.json", configuration.to_string());
    let wrong = folder.file("wrong.json", with(configuration, "ttl", 256));

    let said = joold(&["--simulated-jool", "0", text(&good)]);
    assert_eq!(said.status, 71, "{said:?}");
    assert!(said.stderr.contains("listening on 127.0.0.1"), "{said:?}");
    assert!(said.stderr.contains("stop the other program"), "{said:?}");

    let said = joold(&["--simulated-jool", "0", text(&wrong)]);
    assert_eq!(said.status, 78, "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
}

#[test]
fn a_statistics_address_that_is_taken_is_71_and_named() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::create();
    let configuration = loopback(free_port(), free_port());
    let content = with(configuration, "statistics address", &address[..]);
    let file = folder.file("netsocket.json", content);
    let said = joold(&["--simulated-jool", "0", text(&file)]);
    assert_eq!(said.status, 71, "{said:?}");
    assert!(
        said.stderr
            .contains(&format!("ERROR the statistics address {address} cannot")),
        "{said:?}"
    );
}

#[test]
fn jooldctl_check_says_that_a_good_configuration_is_good() {
    let folder = Folder::create();
    let file = folder.file("netsocket.json", loopback(6400, 6401).to_string());
    let instance = folder.file("modsocket.json", r#"{ "instance": "nat64" }"#);
    for arguments in [
        &["check", text(&file)][..],
        &["check", text(&file), text(&instance)],
        &["check", "--interface", "lo", text(&file)],
    ] {
        let said = jooldctl(arguments);
        assert_eq!((said.status, &said.stderr[..]), (0, ""), "{said:?}");
        assert!(
            said.stdout.starts_with("the configuration is good:\n"),
            "{said:?}"
        );
        assert!(said.stdout.contains("127.0.0.1:6401"), "{said:?}");
    }
    let hardly = folder.file(
        "hardly.json",
        r#"{ "multicast address": "224.0.0.1", "ttl": 0 }"#,
    );
    let said = jooldctl(&["check", text(&hardly)]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(said.stderr.lines().count(), 2, "{said:?}");
}

#[test]
fn a_file_of_thousands_of_unknown_keys_is_told_of_in_some_lines() {
    let folder = Folder::create();
    let keys: Vec<_> = (0..20_000).map(|n| format!("\"key {n}\": 1")).collect();
    let file = folder.file("many.json", format!("{{ {} }}", keys.join(", ")));
    let said = jooldctl(&["check", text(&file)]);
    assert_eq!(said.status, 78);
    assert!(said.stderr.lines().count() < 30, "{}", said.stderr.len());
    assert!(said.stderr.contains("19980 more keys"), "{}", said.stderr);
}

#[test]
fn the_log_level_is_in_syslogs_words_and_never_hides_why_the_daemon_ends() {
    let folder = Folder::create();
    let wrong = folder.file("wrong.json", r#"{ "ttl": 256 }"#);
    for level in ["warning", "err", "notice", "7", "emerg"] {
        let mut joold = Daemon::command();
        let said = run_to_its_end(joold.arg(&wrong).env("JOOLD_LOG", level));
        assert_eq!(said.status, 78, "{level}");
        assert!(said.stderr.contains("\"ttl\""), "{level}: {said:?}");
    }
    for level in ["warn", "loud", "joold=debug"] {
        let mut joold = Daemon::command();
        let said = run_to_its_end(joold.arg(&wrong).env("JOOLD_LOG", level));
        assert_eq!(said.status, 78, "{level}");
        for part in ["JOOLD_LOG", "accepted: debug", "\"ttl\""] {
            assert!(said.stderr.contains(part), "{level}: {said:?}");
        }
    }
}

#[test]
fn with_too_few_open_files_the_daemon_says_so() {
    for limit in [8, 9, 10, 12, 16] {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" --interface lo --simulated-jool 0");
        let said = run_to_its_end(shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_joold")));
        assert_eq!(said.status, 71, "{limit}: {said:?}");
        assert!(said.stderr.contains("LimitNOFILE="), "{limit}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{limit}: {said:?}");
    }
}

#[test]
fn without_file_and_interface_a_netsocket_json_must_be_in_the_working_directory() {
    let folder = Folder::create();
    let said = run_to_its_end(Daemon::command().current_dir(folder.path()));
    assert_eq!(said.status, 78, "{said:?}");
    assert_eq!(
        said.stderr,
        "ERROR no configuration: give a file, or --name, or --interface, or a netsocket.json here\n"
    );
    let port = free_port();
    folder.file("netsocket.json", loopback(port, free_port()).to_string());
    let daemon = Daemon::start(
        Daemon::command()
            .current_dir(folder.path())
            .args(["--simulated-jool", "0"]),
    );
    daemon.logs(&format!("listens on 127.0.0.1:{port}\n"));
}

#[test]
fn an_interface_alone_is_a_configuration() {
    let folder = Folder::create();
    let daemon = Daemon::start(Daemon::command().current_dir(folder.path()).args([
        "--interface",
        "lo",
        "--simulated-jool",
        "0",
    ]));
    daemon.logs("listens on [ff15::6a6f:6f6c]:6400\n");
    daemon.logs("instance \"default\"");
}

#[test]
fn a_name_alone_is_an_interface() {
    let folder = Folder::create();
    let daemon = Daemon::start(Daemon::command().current_dir(folder.path()).args([
        "--name",
        r"l\x6f",
        "--simulated-jool",
        "0",
    ]));
    daemon.logs("listens on [ff15::6a6f:6f6c]:6400\n");
    let said = joold(&["--name", "../lo"]);
    assert_eq!(said.status, 64, "{said:?}");
}

#[test]
fn the_stock_daemons_one_two_and_three_arguments_are_taken() {
    let folder = Folder::create();
    let instance = folder.file("modsocket.json", r#"{ "instance": "nat64" }"#);
    for count in 1..=3 {
        let (port, statistics_port) = (free_port(), free_port());
        let network = folder.file("netsocket.json", loopback(port, free_port()).to_string());
        let arguments = [
            text(&network),
            text(&instance),
            &statistics_port.to_string(),
        ];
        let daemon = Daemon::start(
            Daemon::command()
                .args(&arguments[..count])
                .args(["--simulated-jool", "0"]),
        );
        daemon.logs(&format!(
            "INFO joold {} listens on 127.0.0.1:{port}\n",
            env!("CARGO_PKG_VERSION")
        ));
        let instance = if count == 1 { "default" } else { "nat64" };
        daemon.logs(&format!("instance \"{instance}\", pool6 64:ff9b::/96"));
        if count == 3 {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, statistics_port));
            // It says hello, and nobody answers.
            assert_eq!(statistics(address)[..4], [0; 4]);
        }
        let (status, log) = daemon.stop("TERM");
        assert_eq!(status, Some(0), "{log}");
    }
}

/// The kernel's Jool, of which this machine need not have one.
#[test]
fn without_a_jool_in_time_it_is_69_with_the_remedy() {
    let folder = Folder::create();
    let module = Path::new("/sys/module/jool").exists();
    let remedy = if module {
        "jool -i no-such-jool instance add"
    } else {
        "the kernel module jool is not loaded; load it with `modprobe jool`"
    };
    let mut configuration = loopback(free_port(), free_port());
    configuration["instance"] = "no-such-jool".into();
    for (wait, lines) in [(0, 2), (1, 3)] {
        let content = with(configuration.clone(), "jool wait", wait);
        let file = folder.file("netsocket.json", content);
        let said = joold(&[text(&file)]);
        if module && said.status == 77 {
            // Who may not ask cannot learn that there is none.
            eprintln!("skipped: talking to Jool needs CAP_NET_ADMIN");
            return;
        }
        assert_eq!(said.status, 69, "{said:?}");
        // When it finds that there is no bus, beside the others, is not certain.
        let said_of_jool = said
            .stderr
            .lines()
            .filter(|line| !line.contains("system bus"));
        assert_eq!(said_of_jool.count(), lines, "{said:?}");
        let last = said.stderr.lines().last().unwrap();
        assert!(
            last.starts_with("ERROR ") && last.contains(remedy),
            "{last}"
        );
        if wait > 0 {
            let waiting = "WARN waiting for Jool (for up to 1 s): ";
            assert!(said.stderr.contains(waiting), "{said:?}");
        }
    }
}

#[test]
fn the_demonstration_in_json_ends_complete() {
    let said = jooldctl(&["demo", "--json"]);
    let lines: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["result"], "complete", "{said:?}");
    assert_eq!(last["lacking"], 0);
    assert!(last["sessions"].as_u64().unwrap() > 0);
    assert_eq!(said.status, 0);
    assert_eq!(said.stderr, "");
    let frames: Vec<_> = lines
        .iter()
        .filter(|line| line.get("active").is_some())
        .collect();
    let down = |frame: &&Value| frame["standbys"][1]["state"] == "down";
    assert!(frames.iter().any(down), "{said:?}");
    let end = frames.last().unwrap();
    assert_eq!(end["active"]["state"], "stopped");
    assert!(end["lost"].as_u64().unwrap() > 0, "{said:?}");
    for standby in end["standbys"].as_array().unwrap() {
        assert_eq!(standby["differences"], 0);
        assert!(standby["repaired"].as_u64().unwrap() > 0, "{said:?}");
        assert!(
            standby["lag"]["median ms"].as_f64().unwrap() > 0.0,
            "{said:?}"
        );
    }
    let events: Vec<_> = lines
        .iter()
        .filter_map(|line| line.get("event")?.as_str())
        .collect();
    let expected = [
        "nat64-c crashes",
        "nat64-c is back, and empty",
        "nat64-c has joined: ",
        "the traffic ends",
        "nat64-a stops",
    ];
    assert_eq!(events.len(), expected.len(), "{events:?}");
    for (event, begins) in events.into_iter().zip(expected) {
        assert!(event.starts_with(begins), "{event}");
    }
}

/// What an interactive zsh, which alone completes, makes of a TAB. `$1` is the completions' folder.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; PS1='rea''dy> '"
zpty -r shell shown '*ready> *'
zpty -w -n shell $'jooldctl wat\t'
zpty -r shell shown '*watch*' && print watch
zpty -w -n shell $'\C-ujoold --sim\t'
zpty -r shell shown '*--simulated-jool*' && print -- --simulated-jool
"#;

const BASH: &str = r#"
. "$1/jooldctl"; COMP_WORDS=(jooldctl wat) COMP_CWORD=1; _jooldctl jooldctl wat jooldctl
printf '%s\n' "${COMPREPLY[@]}"
. "$1/joold"; COMP_WORDS=(joold --sim) COMP_CWORD=1; _joold joold --sim joold
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = r#"
source "$argv[1]/jooldctl.fish"; complete -C "jooldctl wat"
source "$argv[1]/joold.fish"; complete -C "joold --sim"
"#;

#[test]
fn every_shell_completes_the_command_lines() {
    for (shell, script) in [("bash", BASH), ("zsh", ZSH), ("fish", FISH)] {
        if Command::new(shell).arg("--version").output().is_err() {
            skipped(&format!(
                "there is no {shell}; install Debian's package {shell}"
            ));
            continue;
        }
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let completions = top.join("packaging/completions").join(shell);
        let folder = Folder::create();
        let file = folder.file("script", script);
        let mut command = program(shell);
        command.env("HOME", folder.path()).env("TERM", "dumb");
        let said = run_to_its_end(command.args([text(&file), text(&completions)]));
        // fish has the explanations, too.
        let words = said
            .stdout
            .lines()
            .filter_map(|line| line.split('\t').next());
        let words: Vec<&str> = words.collect();
        assert_eq!(words, ["watch", "--simulated-jool"], "{shell}: {said:?}");
    }
}
