//! The daemon on the system bus: the object `/mx/jool/Joold1` with the interface `mx.jool.Joold1`,
//! and systemd's `org.freedesktop.LogControl1`. `docs/dbus.md` describes them member by member.
//!
//! All of it stands on [`Control`]: the loop that moves sessions knows of no bus. Without a bus
//! nothing is lost but this view, and the daemon comes back to a bus that restarts.

mod access;
mod announcements;
mod counters;
mod daemon;
mod entries;
mod log_control;
mod name;
mod prospects;

use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, info, warn};
use zbus::{Connection, connection, fdo};

use crate::service::{Control, messages};
use daemon::Daemon;
use log_control::LogControl;

pub use name::{bus_name, likely_name};
pub use prospects::{Prospects, prospects};

/// The object that stands for the daemon.
pub const PATH: &str = "/mx/jool/Joold1";
/// The daemon's interface, and what its names on the bus begin with.
pub const INTERFACE: &str = "mx.jool.Joold1";
/// The object that systemd expects the log's settings at.
const LOG_CONTROL_PATH: &str = "/org/freedesktop/LogControl1";

/// Pause before the next try to get to a bus; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Shows a daemon on the system bus, as the instance of this name, and never ends. Needs a tokio
/// runtime.
///
/// The bus is the one of `DBUS_SYSTEM_BUS_ADDRESS`, or the machine's. Whatever keeps the daemon
/// away from it is logged once and tried again, every 30 s in the end.
pub async fn serve(control: Control, name: &str) {
    let bus_name = bus_name(name);
    let daemon = Daemon::new(control, name);
    let mut told = None;
    let mut pause = FIRST_PAUSE;
    loop {
        match connect(&daemon, &bus_name).await {
            Ok(connection) => {
                info!("on the system bus as {bus_name}");
                tokio::select! {
                    () = connection.closed() => {}
                    () = announcements::make(&connection, &daemon) => {}
                }
                warn!(
                    MESSAGE_ID = messages::BUS_UNAVAILABLE.id,
                    "the system bus is gone; sessions go on, and joold comes back to the bus"
                );
                told = Some(Absence::NoBus);
                pause = FIRST_PAUSE;
            }
            Err(error) => {
                let absence = Absence::from(error);
                if told.as_ref() != Some(&absence) {
                    absence.tell(&bus_name);
                    told = Some(absence);
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(daemon: &Daemon, bus_name: &str) -> zbus::Result<Connection> {
    connection::Builder::system()
        .serve_at(PATH, daemon.clone())
        .serve_at(LOG_CONTROL_PATH, LogControl)
        .name(bus_name)
        // By default a second daemon would take the name from the first.
        .allow_name_replacements(false)
        .replace_existing_names(false)
        .build()
        .await
}

/// Why the daemon is not on the bus.
#[derive(Debug, PartialEq, Eq)]
enum Absence {
    /// There is none.
    NoBus,
    /// Another program has the name.
    Taken,
    /// The bus allows the name to others only.
    Forbidden,
    /// In words.
    Other(String),
}

impl From<zbus::Error> for Absence {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::Connection(..) | zbus::Error::InputOutput(_) => Self::NoBus,
            zbus::Error::NameTaken => Self::Taken,
            zbus::Error::FDO(error) if matches!(*error, fdo::Error::AccessDenied(_)) => {
                Self::Forbidden
            }
            error => Self::Other(error.to_string()),
        }
    }
}

impl Absence {
    fn tell(&self, bus_name: &str) {
        const ID: &str = messages::BUS_UNAVAILABLE.id;
        match self {
            Self::NoBus => info!(
                MESSAGE_ID = ID,
                "there is no system bus; sessions are synchronised without it, and joold joins it \
                 when it is there"
            ),
            Self::Taken => error!(
                MESSAGE_ID = ID,
                "{bus_name} is taken on the system bus: `busctl status {bus_name}` shows by whom; \
                 stop that one, or give this one another name with --name; joold goes on without \
                 the bus and tries again"
            ),
            Self::Forbidden => warn!(
                MESSAGE_ID = ID,
                "the system bus does not let this user own {bus_name}: run joold as the user \
                 joold, or as root, with mx.jool.Joold1.conf in /usr/share/dbus-1/system.d; joold \
                 goes on without the bus and tries again"
            ),
            Self::Other(reason) => warn!(
                MESSAGE_ID = ID,
                "joold is not on the system bus as {bus_name}: {reason}; it goes on without the \
                 bus and tries again"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = include_str!("../../dbus/mx.jool.Joold1.xml");

    /// Kind, name and the lines inside of every member of the interface.
    fn members() -> Vec<(&'static str, &'static str, String)> {
        let mut members: Vec<(&str, &str, String)> = Vec::new();
        for line in XML.lines().map(str::trim) {
            let words = line
                .strip_prefix('<')
                .and_then(|line| line.split_once(" name=\""));
            match words.and_then(|(kind, rest)| Some((kind, rest.split_once('"')?.0))) {
                Some((kind @ ("method" | "signal" | "property"), name)) => {
                    members.push((kind, name, String::new()));
                }
                _ => {
                    if let Some((_, _, inside)) = members.last_mut() {
                        inside.push_str(line);
                    }
                }
            }
        }
        members
    }

    #[test]
    fn every_member_is_explained_in_the_documentation() {
        let documentation = include_str!("../../docs/dbus.md");
        let members = members();
        assert!(members.len() > 20, "{members:?}");
        for (kind, name, inside) in members {
            let heading = match (kind, &inside) {
                ("property", inside) if inside.contains("\"const\"") => "constant |",
                ("property", inside) if inside.contains("\"false\"") => "|",
                ("property", _) => "announced |",
                _ => "",
            };
            let explained = documentation.lines().any(|line| match kind {
                "property" => {
                    let row = line.strip_prefix(&format!("| `{name}` | "));
                    let row = row.and_then(|row| row.split_once("| "));
                    row.is_some_and(|(_, row)| row.starts_with(heading))
                }
                _ => line.starts_with(&format!("### `{name}(")),
            });
            assert!(explained, "{kind} {name}");
        }
    }

    #[test]
    fn what_is_not_announced_is_marked_as_such() {
        let marked = members().into_iter();
        let marked = marked.filter(|(_, _, inside)| inside.contains("value=\"false\""));
        let mut names: Vec<_> = marked.map(|(_, name, _)| name).collect();
        let mut not_announced = announcements::NOT_ANNOUNCED;
        names.sort_unstable();
        not_announced.sort_unstable();
        assert_eq!(names, not_announced);
    }
}
