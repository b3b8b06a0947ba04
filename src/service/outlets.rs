//! What acts on whether this node is fit: a file for keepalived and scripts, and an interface for
//! routing daemons. And what an operator decided, kept over a restart of the daemon, not a boot.
//!
//! All of it is in one folder that is there before the daemon and outlives it, since keepalived(8)
//! watches the folder. What is missing there counts as not fit, so each of these fails safe.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::jool::Repair;
use crate::net;
use crate::replication::Fitness;

/// The folder, of tmpfiles.d(5).
pub const FOLDER: &str = "/run/joold";
/// How often the file is renewed, and looked at. Nothing tells when somebody changes it.
const RENEWAL: Duration = Duration::from_secs(1);
/// A file that was not renewed for so long is of a daemon that has not ended just now.
const LEASE: Duration = Duration::from_secs(30);

/// The files of one daemon.
#[derive(Clone, Debug)]
pub struct Files {
    /// The verdict's [rank](Fitness::rank).
    fitness: PathBuf,
    /// There if an operator drained the node.
    drained: PathBuf,
    /// The name of the interface that is up or down.
    gate: PathBuf,
    /// What the daemon set in Jool, and what it had found.
    jool: PathBuf,
}

impl Files {
    /// The files of `joold@NAME` in [`FOLDER`].
    pub fn of(name: &str) -> Self {
        Self::within(Path::new(FOLDER), name)
    }

    /// The same in another folder.
    pub fn within(folder: &Path, name: &str) -> Self {
        let file = |what: &str| folder.join(format!("{name}.{what}"));
        Self {
            fitness: file("fitness"),
            drained: file("drained"),
            gate: file("gate"),
            jool: file("jool"),
        }
    }

    /// Whether an operator drained the node since the machine was started.
    pub(super) fn is_drained(&self) -> bool {
        self.drained.exists()
    }

    /// Keeps whether an operator drained the node.
    pub(super) fn keep_drained(&self, is_drained: bool) -> io::Result<()> {
        if is_drained {
            fs::write(&self.drained, "")
        } else {
            remove(&self.drained)
        }
    }

    /// Keeps what had to be set in this instance, unless something was kept by an earlier run: what was found
    /// first is to be put back.
    pub(super) fn keep_found(&self, instance: &str, repairs: &[Repair]) -> io::Result<()> {
        let kept = fs::read_to_string(&self.jool).unwrap_or_default();
        if kept.lines().next() == Some(instance) {
            return Ok(());
        }
        let lines: String = repairs.iter().map(|repair| format!("{repair}\n")).collect();
        replace(&self.jool, &format!("{instance}\n{lines}"))
    }

    /// Gives what was kept, and keeps it no longer: the instance, and what had been set in it.
    pub(super) fn take_found(&self) -> Option<(String, Vec<Repair>)> {
        let kept = fs::read_to_string(&self.jool).ok()?;
        remove(&self.jool).ok()?;
        let mut lines = kept.lines();
        let instance = lines.next()?.to_owned();
        Some((instance, lines.filter_map(Repair::parse).collect()))
    }

    /// Whether the node is fit by the last verdict, which may be of a daemon that has ended.
    pub fn say_fit(&self) -> bool {
        let rank = fs::read_to_string(&self.fitness).unwrap_or_default();
        rank.trim().parse::<i8>().is_ok_and(|rank| rank > 0)
    }

    /// When the last verdict was renewed.
    pub fn renewed(&self) -> io::Result<SystemTime> {
        self.fitness.metadata()?.modified()
    }

    /// Whether a daemon has ended just now whose node was fit.
    pub(super) fn was_fit(&self) -> bool {
        self.say_fit() && self.is_fresh()
    }

    /// Whether the verdict was renewed within the lease, by a clock that was hardly set meanwhile.
    fn is_fresh(&self) -> bool {
        self.renewed().is_ok_and(|renewed| {
            let age = SystemTime::now().duration_since(renewed);
            let age = age.unwrap_or_else(|ahead| ahead.duration());
            age <= LEASE
        })
    }

    /// Writes a verdict, or renews it if it is what the file says.
    fn write(&self, rank: i8) -> io::Result<()> {
        let text = format!("{rank}\n");
        if fs::read(&self.fitness).is_ok_and(|found| found == text.as_bytes()) {
            let (now, path) = (TimeSpec::UTIME_NOW, &self.fitness);
            utimensat(
                nix::fcntl::AT_FDCWD,
                path,
                &now,
                &now,
                UtimensatFlags::NoFollowSymlink,
            )?;
            return Ok(());
        }
        let written = replace(&self.fitness, &text);
        if written.is_err() {
            // A folder that is full takes no other verdict. None is better than one that is wrong.
            remove(&self.fitness)?;
        }
        written
    }

    /// The node is not fit: there will be no daemon.
    ///
    /// # Errors
    ///
    /// What went wrong; the rest is done all the same.
    pub fn withdraw(&self) -> Result<(), String> {
        let file = remove(&self.fitness).map_err(|error| self.unwritable(&error));
        let gate = match fs::read_to_string(&self.gate) {
            Ok(name) => set_gate(name.trim(), false).map(drop),
            // None was used.
            Err(_) => Ok(()),
        };
        let _ = remove(&self.gate);
        file.and(gate)
    }

    /// Withdraws a verdict that nobody has renewed lately.
    ///
    /// # Errors
    ///
    /// As [`withdraw`](Self::withdraw).
    pub fn withdraw_stale(&self) -> Result<(), String> {
        if self.is_fresh() {
            Ok(())
        } else {
            self.withdraw()
        }
    }

    /// Keeps the name of the interface, for when there is no daemon. One that was used before is set down.
    fn note_gate(&self, gate: &str) -> Result<(), String> {
        match fs::read_to_string(&self.gate) {
            Ok(noted) if noted == gate => return Ok(()),
            Ok(noted) if !noted.is_empty() => {
                let _ = set_gate(&noted, false);
            }
            _ => {}
        }
        replace(&self.gate, gate).map_err(|error| {
            format!(
                "{} cannot be written, so that the gate interface stays up should joold end: {error}",
                self.gate.display()
            )
        })
    }

    fn unwritable(&self, error: &io::Error) -> String {
        let file = self.fitness.display();
        let folder = self.fitness.parent().unwrap_or(Path::new("/")).display();
        match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{file} cannot be written, so that keepalived takes this node for not fit: there is no \
                 {folder}; `systemd-tmpfiles --create joold.conf` makes it, then restart joold and \
                 keepalived"
            ),
            _ => format!(
                "{file} cannot be written, so that keepalived takes this node for not fit: {error}"
            ),
        }
    }
}

/// Puts a file with this text, for everybody to read, in place of another at once.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut next = file.as_os_str().to_owned();
    next.push("-next");
    let next = PathBuf::from(next);
    let written = fs::write(&next, text)
        .and_then(|()| fs::set_permissions(&next, Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&next, file));
    if written.is_err() {
        let _ = fs::remove_file(&next);
    }
    written
}

/// Removes a file that may be missing.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn set_gate(name: &str, up: bool) -> Result<bool, String> {
    net::set_up(name, up).map_err(|error| {
        let state = if up { "up" } else { "down" };
        format!("the gate interface {name:?} cannot be set {state}: {error}")
    })
}

/// What the outside is shown of the verdict.
#[derive(Debug)]
pub(super) struct Outlets {
    files: Option<Files>,
    gate: Option<String>,
    /// What was shown last, and when it is renewed.
    shown: Option<(Fitness, SystemTime)>,
    /// What went wrong with it.
    pub(super) problems: Vec<String>,
    /// Nobody else tells the outside when the daemon has ended.
    withdraws: bool,
}

impl Outlets {
    pub(super) fn new(files: Option<Files>, gate: Option<String>, withdraws: bool) -> Self {
        Self {
            withdraws,
            files,
            gate,
            shown: None,
            problems: Vec::new(),
        }
    }

    pub(super) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// Uses another interface from now on. The one before is left down.
    pub(super) fn set_interface(&mut self, gate: Option<&String>) {
        if gate == self.gate.as_ref() {
            return;
        }
        if let Some(before) = &self.gate {
            let _ = set_gate(before, false);
        }
        self.gate = gate.cloned();
        self.shown = None;
    }

    /// Shows a verdict, if it is another one or is to be renewed. Says whether anything new went wrong.
    pub(super) fn show(&mut self, fitness: Fitness, now: SystemTime) -> bool {
        let is_renewed = self.shown.is_some_and(|(shown, at)| {
            let age = now.duration_since(at);
            shown == fitness && age.is_ok_and(|age| age < RENEWAL)
        });
        // Before the first verdict that of the daemon before stands.
        if is_renewed || fitness == Fitness::Unknown {
            return false;
        }
        self.shown = Some((fitness, now));
        let mut problems = Vec::new();
        if let Some(files) = &self.files
            && let Err(error) = files.write(fitness.rank())
        {
            problems.push(files.unwritable(&error));
        }
        if let Some(gate) = &self.gate {
            problems.extend(
                self.files
                    .as_ref()
                    .and_then(|files| files.note_gate(gate).err()),
            );
            // Without a rival a node that is alone serves whoever gets here.
            problems.extend(set_gate(gate, fitness.is_fit()).err());
        }
        let is_new = problems
            .iter()
            .any(|problem| !self.problems.contains(problem));
        self.problems = problems;
        is_new
    }

    /// The node is not fit any more, as far as anybody is shown.
    pub(super) fn withdraw(&mut self) {
        if let Some(files) = &self.files {
            let _ = files.withdraw();
        }
        if let Some(gate) = &self.gate {
            let _ = set_gate(gate, false);
        }
    }
}

impl Drop for Outlets {
    fn drop(&mut self) {
        if self.withdraws {
            self.withdraw();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, removed afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("joold-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn files(&self) -> Files {
            Files::within(&self.0, "eth0")
        }

        fn rank(&self) -> Option<String> {
            fs::read_to_string(self.0.join("eth0.fitness")).ok()
        }

        fn age(&self, age: Duration) {
            let file = fs::File::options()
                .write(true)
                .open(self.0.join("eth0.fitness"))
                .unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_has_the_rank_of_each_verdict_for_everybody_to_read() {
        let folder = Folder::new("rank");
        let mut outlets = Outlets::new(Some(folder.files()), None, false);
        for (fitness, rank) in [
            (Fitness::Synced, "2\n"),
            (Fitness::Idle, "1\n"),
            (Fitness::Joining, "0\n"),
            (Fitness::Drained, "-1\n"),
        ] {
            assert!(!outlets.show(fitness, SystemTime::now()));
            assert_eq!(folder.rank().as_deref(), Some(rank));
        }
        let mode = fs::metadata(folder.0.join("eth0.fitness"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o644);
        let files: Vec<_> = fs::read_dir(&folder.0).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing is left beside it: {files:?}");
    }

    #[test]
    fn a_file_that_somebody_changed_or_removed_is_put_right() {
        let folder = Folder::new("changed");
        let mut outlets = Outlets::new(Some(folder.files()), None, false);
        let mut now = SystemTime::now();
        outlets.show(Fitness::Joining, now);
        for text in [Some("2\n"), None] {
            match text {
                Some(text) => fs::write(folder.0.join("eth0.fitness"), text).unwrap(),
                None => fs::remove_file(folder.0.join("eth0.fitness")).unwrap(),
            }
            now += RENEWAL;
            outlets.show(Fitness::Joining, now);
            assert_eq!(folder.rank().as_deref(), Some("0\n"));
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_told_of_once() {
        let folder = Folder::new("missing");
        let mut outlets = Outlets::new(Some(folder.files()), None, false);
        fs::remove_dir_all(&folder.0).unwrap();
        let mut now = SystemTime::now();
        assert!(outlets.show(Fitness::Synced, now));
        assert!(
            outlets.problems[0].contains("systemd-tmpfiles"),
            "{:?}",
            outlets.problems
        );
        now += RENEWAL;
        assert!(!outlets.show(Fitness::Synced, now));
        assert_eq!(outlets.problems.len(), 1);
    }

    #[test]
    fn a_verdict_that_cannot_be_written_leaves_none() {
        let folder = Folder::new("full");
        let files = folder.files();
        files.write(2).unwrap();
        // What stands in the way of the next one, as a folder that is full would.
        fs::create_dir(folder.0.join("eth0.fitness-next")).unwrap();
        assert!(files.write(0).is_err());
        assert_eq!(folder.rank(), None);
    }

    #[test]
    fn only_a_verdict_of_a_moment_ago_is_taken_over() {
        let folder = Folder::new("lease");
        let files = folder.files();
        assert!(!files.was_fit());
        for (rank, fit) in [(2, true), (1, true), (0, false), (-1, false)] {
            files.write(rank).unwrap();
            assert_eq!(files.was_fit(), fit, "{rank}");
        }
        files.write(2).unwrap();
        folder.age(LEASE / 2);
        files.withdraw_stale().unwrap();
        assert!(files.was_fit());
        folder.age(LEASE * 2);
        assert!(!files.was_fit());
        files.withdraw_stale().unwrap();
        assert_eq!(folder.rank(), None);
    }

    #[test]
    fn a_verdict_is_renewed_without_being_written() {
        let folder = Folder::new("renewed");
        let mut outlets = Outlets::new(Some(folder.files()), None, false);
        let now = SystemTime::now();
        outlets.show(Fitness::Synced, now);
        folder.age(LEASE * 2);
        assert!(!folder.files().is_fresh());
        outlets.show(Fitness::Synced, now + RENEWAL);
        assert!(folder.files().is_fresh());
    }

    #[test]
    fn the_interface_that_is_used_is_noted() {
        let folder = Folder::new("gate");
        let files = folder.files();
        let noted = || fs::read_to_string(folder.0.join("eth0.gate")).unwrap();
        // As a folder without room leaves it.
        fs::write(folder.0.join("eth0.gate"), "").unwrap();
        for name in ["nat64-none", "nat65-none"] {
            files.note_gate(name).unwrap();
            assert_eq!(noted(), name);
        }
    }

    #[test]
    fn a_daemon_that_nobody_succeeds_leaves_no_verdict() {
        let folder = Folder::new("withdraws");
        for (withdraws, rank) in [(false, Some("2\n")), (true, None)] {
            let mut outlets = Outlets::new(Some(folder.files()), None, withdraws);
            outlets.show(Fitness::Synced, SystemTime::now());
            drop(outlets);
            assert_eq!(folder.rank().as_deref(), rank);
        }
    }

    #[test]
    fn a_drain_is_kept_until_it_is_taken_back() {
        let folder = Folder::new("drained");
        let files = folder.files();
        assert!(!files.is_drained());
        files.keep_drained(true).unwrap();
        assert!(folder.files().is_drained());
        files.keep_drained(false).unwrap();
        files.keep_drained(false).unwrap();
        assert!(!folder.files().is_drained());
    }
}
