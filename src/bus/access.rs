//! Who may change something: root, the daemon's own user, and whom polkit allows it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::message::{Flags, Header};
use zbus::names::UniqueName;
use zbus::{Connection, Variant, fdo};

/// How long polkit may take: it may have to ask somebody for a password.
const LIMIT: Duration = Duration::from_secs(120);
/// `AllowUserInteraction` of polkit's `CheckAuthorization`.
const ALLOW_USER_INTERACTION: u32 = 1;

/// What not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Reload,
    Advertise,
    Resync,
    Verify,
    Drain,
    SetLogLevel,
}

impl Action {
    /// Its name in `dbus/mx.jool.joold1.policy`.
    fn id(self) -> &'static str {
        match self {
            Self::Reload => "mx.jool.joold1.reload",
            Self::Advertise => "mx.jool.joold1.advertise",
            Self::Resync => "mx.jool.joold1.resync",
            Self::Verify => "mx.jool.joold1.verify",
            Self::Drain => "mx.jool.joold1.drain",
            Self::SetLogLevel => "mx.jool.joold1.set-log-level",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Reload => "reloading the configuration",
            Self::Advertise => "advertising the sessions",
            Self::Resync => "comparing the sessions",
            Self::Verify => "comparing with the other nodes",
            Self::Drain => "draining this node",
            Self::SetLogLevel => "setting the log level",
        }
    }
}

/// Lets whoever sent the message do it, or says why not.
///
/// # Errors
///
/// `AccessDenied`, or `InteractiveAuthorizationRequired` where polkit would have asked for a
/// password if the caller had allowed that.
pub(super) async fn check(
    connection: &Connection,
    header: &Header<'_>,
    action: Action,
) -> fdo::Result<()> {
    let sender = header
        .sender()
        .ok_or_else(|| denied(action, "who asks is not known"))?;
    let user = user_of(connection, sender).await?;
    if user == 0 {
        return Ok(());
    }
    if let Some(own) = connection.unique_name()
        && user == user_of(connection, own).await?
    {
        return Ok(());
    }
    let interactive = header
        .primary()
        .flags()
        .contains(Flags::ALLOW_INTERACTIVE_AUTH);
    match timeout(LIMIT, ask_polkit(connection, sender, action, interactive)).await {
        Ok(Ok((true, _, _))) => Ok(()),
        Ok(Ok((false, true, _))) if !interactive => {
            Err(fdo::Error::InteractiveAuthorizationRequired(format!(
                "{} asks for a password; allow that, or run this as root",
                action.description()
            )))
        }
        Ok(Ok(_)) => Err(denied(action, "polkit does not allow it")),
        Ok(Err(error)) if is_absence(&error) => Err(denied(action, "polkit does not run here")),
        Ok(Err(error)) => Err(denied(action, &format!("polkit failed: {error}"))),
        Err(_) => Err(denied(action, "polkit gave no answer in time")),
    }
}

fn denied(action: Action, reason: &str) -> fdo::Error {
    fdo::Error::AccessDenied(format!(
        "{} is for root, and for whom polkit allows {}: {reason}; run this as root",
        action.description(),
        action.id()
    ))
}

fn is_absence(error: &zbus::Error) -> bool {
    matches!(
        error,
        zbus::Error::FDO(error)
            if matches!(**error, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_))
    )
}

/// The user behind a connection to the bus.
async fn user_of(connection: &Connection, name: &UniqueName<'_>) -> zbus::Result<u32> {
    connection
        .call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "GetConnectionUnixUser",
            name,
        )
        .await?
        .body()
        .deserialize()
}

/// polkit's answer: whether it is allowed, whether it would be with a password, and details.
type Answer = (bool, bool, HashMap<String, String>);

async fn ask_polkit(
    connection: &Connection,
    sender: &UniqueName<'_>,
    action: Action,
    interactive: bool,
) -> zbus::Result<Answer> {
    let subject = HashMap::from([("name", Variant::from(sender.as_str()))]);
    let details: HashMap<&str, &str> = HashMap::new();
    let flags = if interactive {
        ALLOW_USER_INTERACTION
    } else {
        0
    };
    let question = (
        ("system-bus-name", subject),
        action.id(),
        details,
        flags,
        // No cancellation.
        "",
    );
    connection
        .call_method(
            Some("org.freedesktop.PolicyKit1"),
            "/org/freedesktop/PolicyKit1/Authority",
            Some("org.freedesktop.PolicyKit1.Authority"),
            "CheckAuthorization",
            &question,
        )
        .await?
        .body()
        .deserialize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actions_are_those_of_the_polkit_file() {
        let policy = include_str!("../../dbus/mx.jool.joold1.policy");
        let declared: Vec<_> = policy
            .lines()
            .filter_map(|line| line.trim().strip_prefix("<action id=\""))
            .filter_map(|rest| rest.strip_suffix("\">"))
            .collect();
        let actions = [
            Action::Reload,
            Action::Advertise,
            Action::Resync,
            Action::Verify,
            Action::Drain,
            Action::SetLogLevel,
        ];
        assert_eq!(declared, actions.map(Action::id));
    }
}
