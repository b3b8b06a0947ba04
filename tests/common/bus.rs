//! A message bus of the test's own, and who is on it.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zbus::{Connection, DBusError, OwnedVariant, Type, Variant, connection};

use super::daemon::{Daemon, Folder, program};
use super::wait_until;

pub(crate) const PATH: &str = "/mx/jool/Joold1";
pub(crate) const INTERFACE: &str = "mx.jool.Joold1";
pub(crate) const LOG_PATH: &str = "/org/freedesktop/LogControl1";
pub(crate) const LOG_INTERFACE: &str = "org.freedesktop.LogControl1";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What a system bus lets everybody do, what joold's own file adds, and what the tests play.
const POLICY: &str = r#"
<busconfig>
  <listen>ADDRESS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="USER">
    <allow own="org.freedesktop.PolicyKit1"/>
    OWN
  </policy>
  INCLUDE
</busconfig>
"#;

/// A message bus; it ends when dropped.
pub(crate) struct Bus {
    pub(crate) folder: Folder,
    pub(crate) address: String,
    process: Option<Daemon>,
}

impl Bus {
    /// A bus with joold's policy, or `None` where there is no program for one.
    pub(crate) fn start() -> Option<Self> {
        Self::prepare(true).map(|mut bus| {
            bus.run();
            bus
        })
    }

    /// A bus that does not run yet.
    pub(crate) fn prepare(with_policy: bool) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if Command::new("dbus-daemon")
            .arg("--version")
            .output()
            .is_err()
        {
            skipped("there is no dbus-daemon; install Debian's package dbus");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder::create();
        // No file, so that other users reach it, too.
        let address = format!("unix:abstract=joold-tests-{}-{number}", process::id());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dbus/mx.jool.Joold1.conf");
        // The file names root and joold; whoever else runs the tests gets the same.
        let (own, include) = if with_policy {
            (
                r#"<allow own_prefix="mx.jool.Joold1"/>"#,
                format!("<include>{}</include>", file.display()),
            )
        } else {
            ("", String::new())
        };
        let policy = POLICY
            .replace("ADDRESS", &address)
            .replace("USER", &own_user().to_string())
            .replace("OWN", if own_user() == 0 { "" } else { own })
            .replace("INCLUDE", &include);
        folder.file("bus.conf", policy);
        Some(Self {
            folder,
            address,
            process: None,
        })
    }

    pub(crate) fn run(&mut self) {
        let file = self.folder.path().join("bus.conf");
        let mut command = program("dbus-daemon");
        command
            .arg("--nofork")
            .arg(format!("--config-file={}", file.display()));
        self.process = Some(Daemon::start(&mut command));
        wait_until("the bus", || Client::connect(&self.address).is_some());
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.address).unwrap()
    }

    /// A daemon on this bus that listens on loopback at `port` and sends to `peer`, with the name
    /// that its configuration's file has, which is its node's name, too.
    pub(crate) fn joold(&self, name: &str, (port, peer): (u16, u16), rate: u32) -> Daemon {
        let mut configuration = loopback(port, peer);
        configuration["node name"] = name.into();
        let file = format!("{name}.json");
        let file = self.folder.file(&file, configuration.to_string());
        self.start_joold(&[file.to_str().unwrap()], rate)
    }

    pub(crate) fn start_joold(&self, arguments: &[&str], rate: u32) -> Daemon {
        let mut command = Daemon::command();
        command
            .args(arguments)
            .args(["--simulated-jool", &rate.to_string()])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address);
        Daemon::start(&mut command)
    }

    /// The signals of joold, as `dbus-monitor` shows them.
    pub(crate) fn signals(&self) -> Daemon {
        // Only the standard error is kept.
        let command = format!(
            "exec dbus-monitor --address '{}' \"type='signal',path='{PATH}'\" >&2",
            self.address
        );
        let monitor = Daemon::start(program("sh").args(["-c", &command]));
        monitor.logs("NameAcquired");
        monitor
    }
}

/// Somebody on the bus who asks.
pub(crate) struct Client {
    runtime: Runtime,
    connection: Connection,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let runtime = runtime();
        let connection = runtime.block_on(connection::Builder::address(address).build());
        Some(Self {
            connection: connection.ok()?,
            runtime,
        })
    }

    pub(crate) fn call<T: DeserializeOwned + Type>(
        &self,
        name: &str,
        (path, interface, method): (&str, &str, &str),
        body: &(impl serde::Serialize + zbus::DynamicType),
    ) -> zbus::Result<T> {
        let destination = format!("{INTERFACE}.{name}");
        let call =
            self.connection
                .call_method(Some(destination), path, Some(interface), method, body);
        self.runtime.block_on(call)?.body().deserialize()
    }

    pub(crate) fn properties(&self, name: &str) -> HashMap<String, OwnedVariant> {
        self.call(name, (PATH, PROPERTIES, "GetAll"), &INTERFACE)
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn property<T: TryFrom<OwnedVariant>>(&self, name: &str, property: &str) -> T {
        self.property_of(name, PATH, INTERFACE, property)
    }

    #[track_caller]
    pub(crate) fn property_of<T: TryFrom<OwnedVariant>>(
        &self,
        name: &str,
        path: &str,
        interface: &str,
        property: &str,
    ) -> T {
        let value: OwnedVariant = self
            .call(name, (path, PROPERTIES, "Get"), &(interface, property))
            .unwrap();
        T::try_from(value).unwrap_or_else(|_| panic!("{property} is of another type"))
    }

    pub(crate) fn set_log(&self, name: &str, property: &str, value: &str) -> zbus::Result<()> {
        let body = (LOG_INTERFACE, property, Variant::from(value));
        self.call(name, (LOG_PATH, PROPERTIES, "Set"), &body)
    }

    pub(crate) fn reload(&self, name: &str) -> zbus::Result<()> {
        self.call(name, (PATH, INTERFACE, "Reload"), &())
    }

    pub(crate) fn introspect(&self, name: &str) -> String {
        let interface = "org.freedesktop.DBus.Introspectable";
        self.call(name, (PATH, interface, "Introspect"), &())
            .unwrap()
    }
}

/// Name and message of an error.
pub(crate) fn error_of<T: std::fmt::Debug>(result: zbus::Result<T>) -> (String, String) {
    match result.unwrap_err() {
        zbus::Error::MethodError(name, message, _) => {
            (name.to_string(), message.unwrap_or_default())
        }
        zbus::Error::FDO(error) => {
            let message = error.description().unwrap_or_default().to_owned();
            (error.name().to_string(), message)
        }
        other => panic!("{other:?}"),
    }
}

/// What runs connections to the bus.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn own_user() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

pub(crate) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
    let must_run = env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!must_run, "no test may be skipped here: {reason}");
}

/// A configuration for loopback, by unicast between two ports.
pub(crate) fn loopback(port: u16, peer: u16) -> Value {
    json!({
        "multicast port": port,
        "peers": [format!("127.0.0.1:{peer}")],
        "in interface": "127.0.0.1",
    })
}
