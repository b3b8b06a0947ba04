//! The units: what they may do, as systemd judges it.

use std::process::Command;

/// The units of services, and the exposure that systemd 252 finds, times ten.
const SERVICES: [(&str, u32); 2] = [("joold@.service", 15), ("joold-fit@.service", 6)];

fn unit(name: &str) -> &'static str {
    match name {
        "joold@.service" => include_str!("../systemd/joold@.service"),
        _ => include_str!("../systemd/joold-fit@.service"),
    }
}

/// Whether a unit has such a line.
fn has(name: &str, line: &str) -> bool {
    unit(name).lines().any(|found| found == line)
}

#[test]
fn what_the_daemon_needs_is_left_to_it() {
    // Jool wants the capability in the initial user namespace, and is in the host's network namespace.
    for never in [
        "PrivateUsers=yes",
        "PrivateNetwork=yes",
        "IPAddressDeny=any",
    ] {
        assert!(!has("joold@.service", never), "{never}");
    }
    for needed in [
        "AmbientCapabilities=CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "ReadWritePaths=-/run/joold",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallFilter=@system-service",
    ] {
        assert!(has("joold@.service", needed), "{needed}");
    }
}

#[test]
fn both_services_have_the_sandbox() {
    for (name, _) in SERVICES {
        for line in [
            "MemoryDenyWriteExecute=yes",
            "NoNewPrivileges=yes",
            "PrivateDevices=yes",
            "PrivateMounts=yes",
            "PrivateTmp=yes",
            "ProtectKernelModules=yes",
            "ProtectProc=invisible",
            "ProtectSystem=strict",
            "RestrictNamespaces=yes",
            "SystemCallArchitectures=native",
            "SystemCallFilter=~@privileged @resources",
        ] {
            assert!(has(name, line), "{name}: {line}");
        }
    }
}

#[test]
fn systemd_finds_the_services_no_more_exposed_than_they_have_to_be() {
    for (name, exposure) in SERVICES {
        let path = format!("{}/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
        let threshold = format!("--threshold={exposure}");
        let analysis = Command::new("systemd-analyze")
            .args([
                "security",
                "--offline=true",
                "--no-pager",
                &threshold,
                &path,
            ])
            .output();
        let Ok(analysis) = analysis else {
            eprintln!("not tested: there is no systemd-analyze here");
            return;
        };
        let (out, problems) = (analysis.stdout, analysis.stderr);
        let problems = String::from_utf8_lossy(&problems);
        if problems.contains("unrecognized option") {
            eprintln!("not tested: systemd-analyze cannot judge a file before 250");
            return;
        }
        assert!(
            analysis.status.success(),
            "{name} is exposed by more than {exposure} tenths:\n{}{problems}",
            String::from_utf8_lossy(&out)
        );
    }
}
