//! The programs at work.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use super::{LIMIT, wait_for, wait_until};

/// A `joold`, killed when dropped.
pub(crate) struct Daemon {
    process: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    /// The program, to be given arguments.
    pub(crate) fn command() -> Command {
        program(env!("CARGO_BIN_EXE_joold"))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            process,
            log,
            reader: Some(reader),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has this in it.
    #[track_caller]
    pub(crate) fn logs(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || {
            let log = self.log();
            let alive = !self.reader.as_ref().is_some_and(JoinHandle::is_finished);
            let there = log.contains(text);
            assert!(alive || there, "ended without {text:?}:\n{log}");
            there
        });
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {id}")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it by a signal and says its exit status and the log.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let status = wait_for("the end of joold", || self.process.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.log())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("the log of {}:\n{}", self.id(), self.log());
        }
    }
}

/// What a program that ends by itself said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, which must come.
#[track_caller]
pub(crate) fn run_to_its_end(command: &mut Command) -> Said {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let all_of = |stream: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut text = String::new();
            stream.unwrap().read_to_string(&mut text).unwrap();
            text
        })
    };
    let stdout = all_of(process.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = all_of(process.stderr.take().map(|stream| Box::new(stream) as _));
    let mut looks = 0;
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        looks += 1;
        if looks > 4 * super::TRIES {
            let _ = process.kill();
            let _ = process.wait();
            panic!("it does not end: {command:?}; {}", stderr.join().unwrap());
        }
        thread::sleep(super::PAUSE);
    };
    Said {
        status: status
            .code()
            .unwrap_or_else(|| panic!("ended by signal {:?}", status.signal())),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// A program, with nothing in its environment that changes what it does: neither a log level nor
/// what systemd tells the service that the tests may run in.
pub(crate) fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    for variable in [
        "JOOLD_LOG",
        "NO_COLOR",
        "JOURNAL_STREAM",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    ] {
        command.env_remove(variable);
    }
    // Not the machine's bus: whoever wants one says which.
    command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    command
}

/// The stock daemon's six numbers, in their order, asked of the statistics address of a daemon.
#[track_caller]
pub(crate) fn statistics(address: SocketAddr) -> [u64; 6] {
    let text = wait_for("statistics", || ask(address));
    let names = [
        "KERNEL_SENT_PKTS",
        "KERNEL_SENT_BYTES",
        "NET_RCVD_PKTS",
        "NET_RCVD_BYTES",
        "NET_SENT_PKTS",
        "NET_SENT_BYTES",
    ];
    let mut lines = text.lines();
    let numbers = names.map(|name| {
        let line = lines.next().unwrap_or_default();
        let (found, number) = line.split_once(',').unwrap_or_default();
        assert_eq!(found, name, "{text}");
        number.parse().unwrap()
    });
    assert_eq!(lines.next(), None, "{text}");
    numbers
}

/// One question, which may get no answer: the daemon may not be listening yet.
fn ask(address: SocketAddr) -> Option<String> {
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.connect(address).unwrap();
    socket.send(b"\n").ok()?;
    let mut answer = [0; 512];
    // Nobody at the port is told at once.
    let length = socket.recv(&mut answer).ok()?;
    Some(String::from_utf8(answer[..length].to_vec()).unwrap())
}

/// A UDP port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// A folder of its own, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("folder-{}-{number}", process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A configuration for loopback, by unicast between two ports.
pub(crate) fn loopback(port: u16, peer: u16) -> Value {
    json!({
        "multicast port": port,
        "peers": [format!("127.0.0.1:{peer}")],
        "in interface": "127.0.0.1",
    })
}

/// The configuration with one more key.
pub(crate) fn with(mut configuration: Value, key: &str, value: impl Into<Value>) -> String {
    configuration[key] = value.into();
    configuration.to_string()
}
