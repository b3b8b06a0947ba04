//! How the daemon is told to do something, and seen, from outside its loop.

use tokio::sync::{mpsc, oneshot, watch};

use super::Snapshot;

/// What the daemon can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Read the configuration again.
    Reload,
    /// Announce the whole table to the other nodes.
    Advertise,
    /// Compare everything with our own Jool and with another node.
    Resync,
    /// Compare what is known here with what each of the other nodes knows.
    Verify,
    /// Make this node unfit, if another one is fit or anyway.
    Drain {
        /// Whether or not another node could take over.
        anyway: bool,
    },
    /// Take that back.
    Undrain,
}

/// A command and where its outcome goes: a number, or a sentence about what was wrong.
pub(super) type Request = (Command, oneshot::Sender<Result<u64, String>>);

/// A handle on a running daemon.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) commands: mpsc::Sender<Request>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
}

impl Control {
    /// The daemon as it was within the last second.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// The same, to look at and not to keep.
    pub(crate) fn look(&self) -> watch::Ref<'_, Snapshot> {
        self.snapshot.borrow()
    }

    /// Waits until the snapshot is another; `false` when the daemon has ended.
    pub async fn changed(&mut self) -> bool {
        self.snapshot.changed().await.is_ok()
    }

    /// Has the configuration read again, all or nothing.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, a line each; nothing has changed then.
    pub async fn reload(&self) -> Result<(), String> {
        self.ask(Command::Reload).await.map(drop)
    }

    /// Announces the whole table to the other nodes, for stock ones, which cannot ask for it.
    /// Returns how many sessions that are.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn advertise(&self) -> Result<u64, String> {
        self.ask(Command::Advertise).await
    }

    /// Begins to compare everything: our own Jool's table with what is known here, and that with
    /// what another node knows.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn resync(&self) -> Result<(), String> {
        self.ask(Command::Resync).await.map(drop)
    }

    /// Begins to compare what is known here with what each of the other nodes knows, one after the other.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn verify(&self) -> Result<(), String> {
        self.ask(Command::Verify).await.map(drop)
    }

    /// Makes this node unfit, so that what acts on that moves its traffic to another one. Kept over a
    /// restart of the daemon, not a boot.
    ///
    /// # Errors
    ///
    /// Why no other node would take over with everything, unless it is to be done anyway; or why it
    /// cannot be kept.
    pub async fn drain(&self, anyway: bool) -> Result<(), String> {
        self.ask(Command::Drain { anyway }).await.map(drop)
    }

    /// Takes that back; also has a node that holds back take the traffic.
    ///
    /// # Errors
    ///
    /// Why that cannot be kept.
    pub async fn undrain(&self) -> Result<(), String> {
        self.ask(Command::Undrain).await.map(drop)
    }

    async fn ask(&self, command: Command) -> Result<u64, String> {
        let ended = || "the daemon is stopping".to_owned();
        let (outcome, answer) = oneshot::channel();
        self.commands
            .send((command, outcome))
            .await
            .map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}
