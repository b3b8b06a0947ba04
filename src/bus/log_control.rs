//! `org.freedesktop.LogControl1`, for `systemctl service-log-level`.

use zbus::message::Header;
use zbus::{Connection, fdo, interface};

use super::access::{self, Action};
use crate::service::journal;

/// The log as an object on the bus.
pub(super) struct LogControl;

#[interface(name = "org.freedesktop.LogControl1", introspection_docs = false)]
impl LogControl {
    #[zbus(property(emits_changed_signal = "false"))]
    fn log_level(&self) -> &str {
        journal::level()
    }

    #[zbus(property)]
    async fn set_log_level(
        &self,
        level: &str,
        #[zbus(header)] header: Option<Header<'_>>,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<()> {
        if let Some(header) = header {
            access::check(connection, &header, Action::SetLogLevel).await?;
        }
        journal::set_level(level).map_err(fdo::Error::InvalidArgs)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn log_target(&self) -> &str {
        journal::target()
    }

    /// The target is where stderr leads, which nobody can change from here.
    #[zbus(property)]
    async fn set_log_target(
        &self,
        target: &str,
        #[zbus(header)] header: Option<Header<'_>>,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<()> {
        if let Some(header) = header {
            access::check(connection, &header, Action::SetLogLevel).await?;
        }
        let own = journal::target();
        if target == own {
            return Ok(());
        }
        Err(fdo::Error::NotSupported(format!(
            "the log goes to the {own}, where the standard error leads; start joold with another \
             one to change that"
        )))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn syslog_identifier(&self) -> &str {
        "joold"
    }
}
