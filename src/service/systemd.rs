//! What is said to systemd and taken over from it. Where there is no systemd, nothing happens.

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use libsystemd::activation::receive_descriptors_with_names;
use sd_notify::NotifyState;
use tracing::warn;

/// `FileDescriptorName=` of the UDP socket.
pub const UDP: &str = "udp";
/// Name of the subscribed netlink socket among the descriptors that systemd keeps for us.
pub const JOOL: &str = "jool";

/// The descriptors that systemd handed over.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The UDP socket of the socket unit.
    pub udp: Option<OwnedFd>,
    /// The netlink socket of the run before.
    pub jool: Option<OwnedFd>,
}

impl Inherited {
    /// Takes over what systemd hands to this process. To be called once, at the very start.
    #[allow(unsafe_code, reason = "descriptors are inherited as numbers")]
    pub fn take() -> Self {
        let mut inherited = Self::default();
        let descriptors = match receive_descriptors_with_names(true) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                warn!("descriptors from systemd cannot be used: {error}");
                return inherited;
            }
        };
        for (descriptor, name) in descriptors {
            // SAFETY: systemd opened this number for us alone, the environment that names it is
            // cleared with the first look, and nothing else in this process knows of it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor.into_raw_fd()) };
            match name.as_str() {
                UDP => inherited.udp = Some(descriptor),
                JOOL => inherited.jool = Some(descriptor),
                _ => warn!("systemd handed over a descriptor \"{name}\", which is not known"),
            }
        }
        inherited
    }
}

/// The conversation with systemd.
#[derive(Debug)]
pub struct Systemd {
    /// How often systemd wants to hear from us.
    watchdog: Option<Duration>,
    fed: Instant,
    ready: bool,
    status: String,
}

impl Default for Systemd {
    fn default() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            fed: Instant::now(),
            ready: false,
            status: String::new(),
        }
    }
}

impl Systemd {
    /// Whether systemd runs this process, and does what is left to do when it has ended.
    pub(super) fn is_there() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    /// The service is up; said once.
    pub(super) fn ready(&mut self) {
        if !self.ready {
            self.ready = true;
            notify(&[NotifyState::Ready]);
        }
    }

    /// One line for `systemctl status`; said when it is another.
    pub(super) fn status(&mut self, text: String) {
        if self.status != text {
            notify(&[NotifyState::Status(&text)]);
            self.status = text;
        }
    }

    /// Starting takes longer: systemd is to wait for so long from now.
    pub(super) fn extend_start(&self, time: Duration) {
        if !self.ready {
            let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
        }
    }

    /// The loop goes round. Said at most every third of what systemd allows.
    pub(super) fn alive(&mut self) {
        if self
            .watchdog
            .is_some_and(|allowed| self.fed.elapsed() >= allowed / 3)
        {
            self.fed = Instant::now();
            notify(&[NotifyState::Watchdog]);
        }
    }

    /// The configuration is being read again.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// It has been, or was refused.
    pub(super) fn reloaded(&self) {
        if self.ready {
            notify(&[NotifyState::Ready]);
        }
    }

    /// The daemon ends. systemd goes on to show the last line, which must not tell of peers then.
    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping, NotifyState::Status("stopped")]);
    }
}

/// Has systemd keep a descriptor over a restart, or a crash, of this process.
pub fn keep(descriptor: BorrowedFd<'_>, name: &str) {
    let state = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify_with_fds(&state, &[descriptor]) {
        warn!("systemd does not keep the descriptor \"{name}\": {error}");
    }
}

/// The daemon ends by itself, for this reason, which `systemctl status` shows.
pub fn failed(reason: &str) {
    notify(&[NotifyState::Status(reason)]);
}

/// systemd that does not listen is no reason to stop.
fn notify(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
