//! The operator's side of the D-Bus interface: finding daemons, asking them, telling them.

mod peers;
mod view;
mod wait;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use zbus::proxy::MethodFlags;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, OwnedVariant, Proxy, Variant, fdo};

use crate::bus::{INTERFACE, PATH, bus_name};
use view::{Style, clock};

pub use wait::wait_synced;

const LOG_OBJECT: &str = "/org/freedesktop/LogControl1";
const LOG_INTERFACE: &str = "org.freedesktop.LogControl1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How often `watch` looks.
const REFRESH: Duration = Duration::from_secs(1);
/// How often the end of a comparison is looked for.
const RESYNC_LOOK: Duration = Duration::from_millis(200);

/// Why a daemon could not be asked or told. Each has an exit status of sysexits(3).
#[derive(Debug)]
pub enum Error {
    /// There is no system bus.
    NoBus(zbus::Error),
    /// No daemon is on the bus.
    NoDaemon,
    /// Several are, and none was named.
    Several(Vec<String>),
    /// The one that was named is not.
    NotRunning {
        /// Its name.
        name: String,
        /// Those that are.
        running: Vec<String>,
    },
    /// The daemon said no.
    Refused(String),
    /// It is not for this user.
    Denied(String),
    /// What was waited for did not come about in this time, for this reason.
    NotInTime(Duration, String),
    /// The conversation failed.
    Bus(zbus::Error),
    /// The terminal failed.
    Output(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBus(error) => write!(
                f,
                "the system bus cannot be reached: {error}; is dbus running?"
            ),
            Self::NoDaemon => f.write_str(
                "no joold is running here; start one, for instance with `systemctl start joold@eth0`",
            ),
            Self::Several(names) => write!(
                f,
                "several run here, name one with -i: {}",
                names.join(", ")
            ),
            Self::NotRunning { name, running } if running.is_empty() => write!(
                f,
                "joold@{name} is not running; start it with `systemctl start joold@{name}`"
            ),
            Self::NotRunning { name, running } => {
                write!(f, "joold@{name} is not running; running: {}", running.join(", "))
            }
            // The daemon's own words are a sentence already.
            Self::Refused(reason) | Self::Denied(reason) => f.write_str(reason),
            Self::NotInTime(limit, reason) => {
                write!(f, "not synced within {} s: {reason}", limit.as_secs_f64())
            }
            Self::Bus(error) => write!(f, "the daemon could not be asked: {error}"),
            Self::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoBus(error) | Self::Bus(error) => Some(error),
            Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// The exit status: 69 nobody to talk with, 64 more than one, 75 not in time, 77 not permitted,
    /// 1 refused.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NoBus(_) | Self::NoDaemon | Self::NotRunning { .. } => 69,
            Self::Several(_) => 64,
            Self::NotInTime(..) => 75,
            Self::Denied(_) => 77,
            _ => 1,
        }
    }
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::FDO(error) => match *error {
                fdo::Error::AccessDenied(text)
                | fdo::Error::InteractiveAuthorizationRequired(text) => Self::Denied(text),
                fdo::Error::InvalidArgs(text) => Self::Refused(text),
                error => Self::Bus(error.into()),
            },
            zbus::Error::MethodError(_, Some(text), _) => Self::Refused(text),
            error => Self::Bus(error),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// The daemons of this machine that are on the bus.
#[derive(Debug)]
pub struct Client {
    bus: Connection,
    /// Their names, as in `joold@NAME`, in order.
    running: Vec<String>,
}

/// One daemon.
#[derive(Debug)]
pub struct Daemon {
    bus: Connection,
    name: String,
}

impl Client {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// There is no bus.
    pub async fn connect() -> Result<Self, Error> {
        let bus = Connection::system().await.map_err(Error::NoBus)?;
        let names = fdo::DBusProxy::new(&bus).await?.list_names().await;
        let names = names.map_err(|error| Error::Bus(error.into()))?;
        let prefix = format!("{INTERFACE}.");
        let mut running = Vec::new();
        for name in names.iter().filter(|name| name.starts_with(&prefix)) {
            let proxy = Proxy::new(&bus, name.as_str(), PATH, INTERFACE).await?;
            // One that has gone since is none of them.
            if let Ok(name) = proxy.get_property::<String>("Name").await {
                running.push(name);
            }
        }
        running.sort_unstable();
        Ok(Self { bus, running })
    }

    /// The one that is named, or the only one.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub fn daemon(&self, name: Option<&str>) -> Result<Daemon, Error> {
        let name = match (name, &self.running[..]) {
            (Some(name), running) if running.iter().any(|other| other == name) => name,
            (Some(name), running) => {
                return Err(Error::NotRunning {
                    name: name.to_owned(),
                    running: running.to_vec(),
                });
            }
            (None, [name]) => name,
            (None, []) => return Err(Error::NoDaemon),
            (None, names) => return Err(Error::Several(names.to_vec())),
        };
        Ok(Daemon {
            bus: self.bus.clone(),
            name: name.to_owned(),
        })
    }

    /// The one that is named, or all.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn daemons(&self, name: Option<&str>) -> Result<Vec<Daemon>, Error> {
        match name {
            Some(_) => Ok(vec![self.daemon(name)?]),
            None if self.running.is_empty() => Err(Error::NoDaemon),
            None => self
                .running
                .iter()
                .map(|name| self.daemon(Some(name)))
                .collect(),
        }
    }
}

impl Daemon {
    async fn proxy(&self, object: &str, interface: &str) -> Result<Proxy<'static>, Error> {
        Ok(Proxy::new_owned(
            self.bus.clone(),
            bus_name(&self.name),
            object.to_owned(),
            interface.to_owned(),
        )
        .await?)
    }

    /// Every property, as JSON, with the daemon's name.
    ///
    /// # Errors
    ///
    /// The daemon has gone.
    pub async fn properties(&self) -> Result<Map<String, Json>, Error> {
        let proxy = self.proxy(PATH, PROPERTIES).await?;
        let all: HashMap<String, OwnedVariant> = proxy.call("GetAll", &(INTERFACE,)).await?;
        let mut properties: Map<String, Json> = all
            .into_iter()
            .map(|(name, value)| (name, to_json(&value)))
            .collect();
        properties.insert("Name".to_owned(), json!(self.name));
        Ok(properties)
    }

    /// Has the configuration read again.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub async fn reload(&self) -> Result<(), Error> {
        let proxy = self.proxy(PATH, INTERFACE).await?;
        ask(&proxy, "Reload", &()).await
    }

    /// Has the whole table sent to the other nodes, and returns how many sessions that were.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn advertise(&self) -> Result<u64, Error> {
        let proxy = self.proxy(PATH, INTERFACE).await?;
        ask(&proxy, "Advertise", &()).await
    }

    /// Has everything compared, and waits for the end of it. Returns what was found, in words.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn resync(&self) -> Result<String, Error> {
        let audits = |properties: &Map<String, Json>| {
            let counters = properties.get("Counters").and_then(Json::as_object);
            counters.map_or(0, |counters| view::number(counters, "audits"))
        };
        let proxy = self.proxy(PATH, INTERFACE).await?;
        let before = audits(&self.properties().await?);
        let () = ask(&proxy, "Resync", &()).await?;
        loop {
            tokio::time::sleep(RESYNC_LOOK).await;
            let properties = self.properties().await?;
            let object = |name: &str| properties.get(name).and_then(Json::as_object);
            let transferring = object("Transfer").is_some_and(|transfer| !transfer.is_empty());
            if let Some(audit) = object("LastAudit")
                && audits(&properties) > before
                && !transferring
            {
                return Ok(view::findings(audit));
            }
            if view::text(&properties, "State") == "waiting" {
                let reason = view::text(&properties, "StateReason");
                return Err(Error::Refused(format!("Jool is lost: {reason}")));
            }
        }
    }

    /// The log level, after setting it if one is given.
    ///
    /// # Errors
    ///
    /// The daemon does not know it, or forbids it.
    pub async fn log_level(&self, level: Option<&str>) -> Result<String, Error> {
        if let Some(level) = level {
            let properties = self.proxy(LOG_OBJECT, PROPERTIES).await?;
            let value = (LOG_INTERFACE, "LogLevel", Variant::from(level));
            ask::<()>(&properties, "Set", &value).await?;
        }
        let proxy = self.proxy(LOG_OBJECT, LOG_INTERFACE).await?;
        Ok(proxy.get_property("LogLevel").await?)
    }
}

/// Calls a method that is not for everybody: where polkit knows whom to ask for a password, it may.
async fn ask<R>(
    proxy: &Proxy<'_>,
    method: &str,
    arguments: &(impl Serialize + DynamicType),
) -> Result<R, Error>
where
    R: for<'d> DynamicDeserialize<'d>,
{
    let flags = MethodFlags::ALLOW_INTERACTIVE_AUTH;
    let answer = proxy.call_with_flags(method, flags, arguments).await?;
    answer.ok_or_else(|| Error::Refused(format!("{method} has no answer")))
}

/// Prints the state of daemons: a picture, or a JSON array.
///
/// # Errors
///
/// A daemon has gone.
pub async fn status(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let mut all = Vec::new();
    for daemon in daemons {
        all.push(daemon.properties().await?);
    }
    let text = if json {
        format!("{}\n", Json::from_iter(all.into_iter().map(Json::Object)))
    } else {
        let pictures: Vec<String> = all
            .iter()
            .map(|properties| view::status(properties, &style, clock()))
            .collect();
        pictures.join("\n")
    };
    put(&text)
}

/// Prints the peers of daemons: a table, or a JSON array.
///
/// # Errors
///
/// A daemon has gone.
pub async fn peers(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let mut all = Vec::new();
    for daemon in daemons {
        let mut properties = daemon.properties().await?;
        all.push((
            daemon.name.clone(),
            properties.remove("Peers").unwrap_or_default(),
        ));
    }
    if json {
        let objects = all
            .into_iter()
            .map(|(name, peers)| json!({ "Name": name, "Peers": peers }));
        return put(&format!("{}\n", Json::from_iter(objects)));
    }
    let several = all.len() > 1;
    let tables: Vec<String> = all
        .iter()
        .map(|(name, peers)| {
            let table = peers::full_table(name, peers, &style, clock());
            match peers.as_array() {
                Some(peers) if several && !peers.is_empty() => format!("joold@{name}\n{table}"),
                _ => table,
            }
        })
        .collect();
    put(&tables.join("\n"))
}

/// Shows daemons, every second anew, until it is interrupted: a picture, or a JSON array per line.
///
/// # Errors
///
/// A daemon has gone.
pub async fn watch(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let mut before: Vec<Map<String, Json>> = Vec::new();
    let mut looked = Instant::now();
    if style.terminal && !json {
        put("\x1b[2J")?;
    }
    loop {
        let elapsed = looked.elapsed();
        looked = Instant::now();
        let mut all = Vec::new();
        for daemon in daemons {
            all.push(daemon.properties().await?);
        }
        let with_rates = all.iter().enumerate().map(|(number, properties)| {
            let rates = view::rates(properties, before.get(number), elapsed);
            (properties, rates)
        });
        let text = if json {
            let objects = with_rates.map(|(properties, rates)| {
                let mut object = properties.clone();
                object.insert("Rates".to_owned(), rates.into());
                Json::Object(object)
            });
            format!("{}\n", Json::from_iter(objects))
        } else {
            let pictures: Vec<String> = with_rates
                .map(|(properties, rates)| view::live(properties, &rates, &style, clock()))
                .collect();
            let text = pictures.join("\n");
            if style.terminal {
                // From the top, over what was there, so that nothing flickers.
                format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
            } else {
                format!("{text}\n")
            }
        };
        put(&text)?;
        before = all;
        tokio::time::sleep(REFRESH).await;
    }
}

/// Prints text. A reader who has gone has seen enough.
///
/// # Errors
///
/// It cannot be written.
pub fn put(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// A D-Bus value as JSON: what is a dictionary with string keys becomes an object, a structure an
/// array.
fn to_json(value: &Variant<'_>) -> Json {
    match value {
        Variant::U8(number) => json!(number),
        Variant::Bool(truth) => json!(truth),
        Variant::I16(number) => json!(number),
        Variant::U16(number) => json!(number),
        Variant::I32(number) => json!(number),
        Variant::U32(number) => json!(number),
        Variant::I64(number) => json!(number),
        Variant::U64(number) => json!(number),
        Variant::F64(number) => json!(number),
        Variant::Str(text) => json!(text.as_str()),
        Variant::ObjectPath(path) => json!(path.as_str()),
        Variant::Variant(inner) => to_json(inner),
        Variant::Array(array) => array.iter().map(to_json).collect(),
        Variant::Structure(fields) => fields.fields().iter().map(to_json).collect(),
        Variant::Dict(dictionary) => {
            let entries = dictionary.iter().map(|(key, value)| match key {
                Variant::Str(key) => (key.as_str().to_owned(), to_json(value)),
                key => (key.to_string(), to_json(value)),
            });
            Json::Object(entries.collect())
        }
        other => json!(format!("{other:?}")),
    }
}

impl Style {
    fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Self {
            terminal,
            colour: terminal && !plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_answers_is_told_in_its_own_words() {
        let words = || "run this as root".to_owned();
        for (error, status) in [
            (fdo::Error::AccessDenied(words()), 77),
            (fdo::Error::InteractiveAuthorizationRequired(words()), 77),
            (fdo::Error::InvalidArgs(words()), 1),
        ] {
            let error = Error::from(zbus::Error::from(error));
            assert_eq!(
                (error.to_string(), error.exit_status()),
                (words(), status),
                "{error:?}"
            );
        }
    }
}
