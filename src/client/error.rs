//! Why a daemon could not be asked or told.

use std::time::Duration;
use std::{fmt, io};

use zbus::fdo;

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
    /// The one with this name has ended since it was found.
    Gone(String),
    /// The one with this name is on the bus and says nothing.
    Silent(String),
    /// The daemon said no.
    Refused(String),
    /// It is not for this user.
    Denied(String),
    /// What was waited for did not come about in this time, for this reason.
    NotInTime(&'static str, Duration, String),
    /// The node that was to take over is not fit any more since this one was drained.
    NoTaker,
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
            Self::Gone(name) => write!(
                f,
                "joold@{name} has ended; `systemctl status joold@{name}` tells why"
            ),
            Self::Silent(name) => write!(
                f,
                "joold@{name} does not answer; `systemctl status joold@{name}` tells how it stands, \
                 and `systemctl restart joold@{name}` replaces it"
            ),
            // The daemon's own words are a sentence already.
            Self::Refused(reason) | Self::Denied(reason) => f.write_str(reason),
            Self::NoTaker => f.write_str(
                "no other node is fit any more, perhaps since it was drained at the same moment: this one is \
                 not drained; `jooldctl peers` tells of the others",
            ),
            Self::NotInTime(what, limit, reason) => {
                write!(f, "not {what} within {} s: {reason}", limit.as_secs_f64())
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
            Self::NoBus(_)
            | Self::NoDaemon
            | Self::NotRunning { .. }
            | Self::Gone(_)
            | Self::Silent(_) => 69,
            Self::Several(_) => 64,
            Self::NotInTime(..) | Self::NoTaker => 75,
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
