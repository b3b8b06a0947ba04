//! The operator's side of the D-Bus interface: finding daemons, asking them, telling them.

mod error;
mod fit;
mod keys;
mod peers;
mod properties;
mod resync;
mod terminal;
mod verify;
mod view;
mod wait;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use terminal_size::terminal_size;
use tokio::time::timeout;
use zbus::proxy::MethodFlags;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, OwnedVariant, Proxy, Variant, fdo};

use crate::bus::{INTERFACE, PATH, bus_name, likely_name};
use crate::service::changed;
use properties::{clock, list, text};
use terminal::{Style, WIDTH};

pub use error::Error;
pub use fit::{Answer, fit, hold};
pub use keys::keys;
pub use verify::{Agreement, verify};
pub use wait::{Wanted, drain, wait};

const LOG_OBJECT: &str = "/org/freedesktop/LogControl1";
const LOG_INTERFACE: &str = "org.freedesktop.LogControl1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How often `watch` looks.
const REFRESH: Duration = Duration::from_secs(1);
/// How long a daemon, or the bus, may take for an answer. It comes at once, unless one of them hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The daemons of this machine that are on the bus.
#[derive(Debug)]
pub struct Client {
    bus: Connection,
    /// Their names there, in order.
    names: Vec<String>,
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
    /// There is no bus, or it hangs.
    pub async fn connect() -> Result<Self, Error> {
        let found = timeout(ANSWER_LIMIT, Self::find()).await;
        found.unwrap_or_else(|_| {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            Err(Error::NoBus(error.into()))
        })
    }

    async fn find() -> Result<Self, Error> {
        let bus = Connection::system().await.map_err(Error::NoBus)?;
        let names = fdo::DBusProxy::new(&bus).await?.list_names().await;
        let names = names.map_err(|error| Error::Bus(error.into()))?;
        let prefix = format!("{INTERFACE}.");
        let names = names.iter().map(ToString::to_string);
        let mut names: Vec<_> = names.filter(|name| name.starts_with(&prefix)).collect();
        names.sort_unstable();
        Ok(Self { bus, names })
    }

    /// Their names, as in `joold@NAME`, in order; of one that does not answer the likeliest.
    async fn running(&self) -> Result<Vec<String>, Error> {
        let mut running = Vec::new();
        for name in &self.names {
            let proxy = Proxy::new(&self.bus, name.as_str(), PATH, INTERFACE).await?;
            match timeout(ANSWER_LIMIT, proxy.get_property::<String>("Name")).await {
                Ok(Ok(name)) => running.push(name),
                // One that has gone since is none of them.
                Ok(Err(_)) => {}
                Err(_) => running.extend(likely_name(name)),
            }
        }
        running.sort_unstable();
        Ok(running)
    }

    fn named(&self, name: &str) -> Daemon {
        Daemon {
            bus: self.bus.clone(),
            name: name.to_owned(),
        }
    }

    /// The one that is named, or the only one.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub async fn daemon(&self, name: Option<&str>) -> Result<Daemon, Error> {
        match name {
            // Nobody else is asked, as one of them may hang.
            Some(name) if self.names.contains(&bus_name(name)) => Ok(self.named(name)),
            Some(name) => Err(Error::NotRunning {
                name: name.to_owned(),
                running: self.running().await?,
            }),
            None => match &self.running().await?[..] {
                [name] => Ok(self.named(name)),
                [] => Err(Error::NoDaemon),
                names => Err(Error::Several(names.to_vec())),
            },
        }
    }

    /// The one that is named, or all.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn daemons(&self, name: Option<&str>) -> Result<Vec<Daemon>, Error> {
        if name.is_some() {
            return Ok(vec![self.daemon(name).await?]);
        }
        let running = self.running().await?;
        if running.is_empty() {
            return Err(Error::NoDaemon);
        }
        Ok(running.iter().map(|name| self.named(name)).collect())
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

    /// What an error means, of which the bus may only have said that nobody was there.
    fn failed(&self, error: zbus::Error) -> Error {
        match error {
            zbus::Error::FDO(error)
                if matches!(
                    *error,
                    fdo::Error::ServiceUnknown(_)
                        | fdo::Error::NameHasNoOwner(_)
                        | fdo::Error::NoReply(_)
                ) =>
            {
                Error::Gone(self.name.clone())
            }
            error => error.into(),
        }
    }

    /// Calls a method that is not for everybody: where polkit knows whom to ask for a password, it
    /// may, so that this can take long.
    async fn ask<R>(
        &self,
        (object, interface, method): (&str, &str, &str),
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<R, Error>
    where
        R: for<'d> DynamicDeserialize<'d>,
    {
        let proxy = self.proxy(object, interface).await?;
        let flags = MethodFlags::ALLOW_INTERACTIVE_AUTH;
        let answer = proxy.call_with_flags(method, flags, arguments).await;
        let answer = answer.map_err(|error| self.failed(error))?;
        answer.ok_or_else(|| Error::Refused(format!("{method} has no answer")))
    }

    /// Every property, as JSON, with the daemon's name.
    ///
    /// # Errors
    ///
    /// The daemon has gone, or hangs.
    pub async fn properties(&self) -> Result<Map<String, Json>, Error> {
        let proxy = self.proxy(PATH, PROPERTIES).await?;
        let all = timeout(ANSWER_LIMIT, proxy.call("GetAll", &(INTERFACE,))).await;
        let all = all.map_err(|_| Error::Silent(self.name.clone()))?;
        let all: HashMap<String, OwnedVariant> = all.map_err(|error| self.failed(error))?;
        let mut properties: Map<String, Json> = all
            .into_iter()
            .map(|(name, value)| (name, to_json(&value)))
            .collect();
        properties.insert("Name".to_owned(), json!(self.name));
        Ok(properties)
    }

    /// Has the configuration read again. Returns what that changed, in words.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub async fn reload(&self) -> Result<String, Error> {
        let () = self.ask((PATH, INTERFACE, "Reload"), &()).await?;
        let properties = self.properties().await?;
        let changes = list(&properties, "ConfigurationChanges");
        let pending = list(&properties, "ConfigurationPending");
        Ok(changed(&changes, &pending))
    }

    /// Has the whole table sent to the other nodes, and returns how many sessions that were.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn advertise(&self) -> Result<u64, Error> {
        self.ask((PATH, INTERFACE, "Advertise"), &()).await
    }

    /// Makes this node unfit, so that its traffic moves to another one.
    ///
    /// # Errors
    ///
    /// Why no other node has everything, unless it is to be done anyway.
    pub async fn drain(&self, anyway: bool) -> Result<(), Error> {
        self.ask((PATH, INTERFACE, "Drain"), &(anyway,)).await
    }

    /// Takes a drain back.
    ///
    /// # Errors
    ///
    /// Why that cannot be kept.
    pub async fn undrain(&self) -> Result<(), Error> {
        self.ask((PATH, INTERFACE, "Undrain"), &()).await
    }

    /// The log level, after setting it if one is given.
    ///
    /// # Errors
    ///
    /// The daemon does not know it, or forbids it.
    pub async fn log_level(&self, level: Option<&str>) -> Result<String, Error> {
        if let Some(level) = level {
            let value = (LOG_INTERFACE, "LogLevel", Variant::from(level));
            let set = (LOG_OBJECT, PROPERTIES, "Set");
            self.ask::<()>(set, &value).await?;
        }
        let proxy = self.proxy(LOG_OBJECT, LOG_INTERFACE).await?;
        let level = timeout(ANSWER_LIMIT, proxy.get_property("LogLevel")).await;
        let level = level.map_err(|_| Error::Silent(self.name.clone()))?;
        level.map_err(|error| self.failed(error))
    }
}

/// What the daemons that answer have to say, and why another one does not, if any. The others are
/// shown all the same.
async fn look(daemons: &[Daemon]) -> (Vec<Map<String, Json>>, Option<Error>) {
    let (mut all, mut failure) = (Vec::new(), None);
    for daemon in daemons {
        match daemon.properties().await {
            Ok(properties) => all.push(properties),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    (all, failure)
}

/// Prints the state of daemons: a picture, or a JSON array.
///
/// # Errors
///
/// A daemon has gone, or hangs.
pub async fn status(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let (all, failure) = look(daemons).await;
    let text = if json {
        format!("{}\n", Json::from_iter(all.into_iter().map(Json::Object)))
    } else {
        let pictures: Vec<String> = all
            .iter()
            .map(|properties| view::status(properties, &style, clock()))
            .collect();
        pictures.join("\n")
    };
    put(&text)?;
    failure.map_or(Ok(()), Err)
}

/// Prints the peers of daemons: a table, or a JSON array.
///
/// # Errors
///
/// A daemon has gone, or hangs.
pub async fn peers(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let (all, failure) = look(daemons).await;
    let all: Vec<(&str, &Json)> = all
        .iter()
        .map(|properties| {
            let peers = properties.get("Peers").unwrap_or(&Json::Null);
            (text(properties, "Name"), peers)
        })
        .collect();
    let text = if json {
        let objects = all
            .iter()
            .map(|(name, peers)| json!({ "Name": name, "Peers": peers }));
        format!("{}\n", Json::from_iter(objects))
    } else {
        let tables: Vec<String> = all
            .iter()
            .map(|(name, peers)| {
                let table = peers::full_table(name, peers, &style, clock());
                match peers.as_array() {
                    Some(peers) if daemons.len() > 1 && !peers.is_empty() => {
                        format!("joold@{name}\n{table}")
                    }
                    _ => table,
                }
            })
            .collect();
        tables.join("\n")
    };
    put(&text)?;
    failure.map_or(Ok(()), Err)
}

/// Shows daemons, every second anew, until it is interrupted or its reader has gone: a picture, or a
/// JSON array per line. One that ends, or hangs, is shown as such, and is in no array, until it is
/// back.
///
/// # Errors
///
/// The bus has gone.
pub async fn watch(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let mut before: HashMap<&str, Map<String, Json>> = HashMap::new();
    let mut looked = Instant::now();
    if Style::of_stdout().terminal && !json {
        put("\x1b[2J")?;
    }
    loop {
        // A terminal's size may have changed.
        let style = Style::of_stdout();
        let elapsed = looked.elapsed();
        looked = Instant::now();
        let mut all = HashMap::new();
        let (mut objects, mut pictures) = (Vec::new(), Vec::new());
        for daemon in daemons {
            let name = daemon.name.as_str();
            let mut properties = match daemon.properties().await {
                Ok(properties) => properties,
                Err(error @ (Error::Gone(_) | Error::Silent(_))) => {
                    pictures.push(view::absent(&error.to_string(), &style));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let rates = view::rates(&properties, before.get(name), elapsed);
            if json {
                all.insert(name, properties.clone());
                properties.insert("Rates".to_owned(), rates.into());
                objects.push(Json::Object(properties));
            } else {
                pictures.push(view::live(&properties, &rates, &style, clock()));
                all.insert(name, properties);
            }
        }
        let text = if json {
            format!("{}\n", Json::from_iter(objects))
        } else if style.terminal {
            style.frame(&pictures.join("\n"))
        } else {
            format!("{}\n", pictures.join("\n"))
        };
        if !put_to_reader(&text)? {
            return Ok(());
        }
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
    put_to_reader(text).map(drop)
}

/// Prints text whose lines fit the terminal, if there is one: those that are broken go on so many columns from the
/// left.
///
/// # Errors
///
/// It cannot be written.
pub fn put_folded(text: &str, indent: usize) -> Result<(), Error> {
    put(&Style::of_stdout().hanging(indent, text))
}

/// Prints text, and says whether there still is a reader.
fn put_to_reader(text: &str) -> Result<bool, Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => Ok(result.map(|()| true)?),
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
        let size = terminal_size().map(|(width, height)| (width.0.into(), height.0.into()));
        let (columns, lines) = size.unwrap_or((WIDTH, usize::MAX));
        Self {
            terminal,
            colour: terminal && !plain,
            columns: columns.min(WIDTH),
            lines,
        }
    }
}
