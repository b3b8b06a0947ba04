//! What a node's Jool holds, and how long sessions take to get there.

use std::fs::File;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use joold::jool::kernel::Kernel;
use joold::jool::{Jool, Settings};
use joold::session::parse_run;
use nix::sched::{CloneFlags, setns};

use crate::Outcome;

/// Puts this thread into a namespace of `ip netns`.
fn enter(namespace: &str) -> Outcome {
    let file = File::open(format!("/run/netns/{namespace}"))?;
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}

/// The default instance of the namespace that the thread is in.
fn jool() -> Outcome<Kernel> {
    Ok(Kernel::open(
        Settings {
            instance: "default".to_owned(),
            manage: false,
            flush_interval: Duration::ZERO,
            queue_capacity: 0,
        },
        None,
    )?)
}

fn sessions(jool: &mut Kernel) -> Outcome<u64> {
    Ok(jool.counter(Kernel::SESSIONS)?)
}

/// Opens sessions through the NAT64, alone or in bursts, and measures until they are in the peer's
/// table; prints one line in milliseconds.
#[derive(Args)]
pub struct Latency {
    /// Namespace of the client
    #[arg(long, default_value = "C")]
    client: String,
    /// Namespace of the node that is to learn of the sessions
    #[arg(long, default_value = "B")]
    peer: String,
    /// How many times
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Sessions at once
    #[arg(long, default_value_t = 1)]
    burst: u16,
    /// First port of the server; runs must not share ports
    #[arg(long, default_value_t = 2000)]
    port: u16,
    /// Address of the server behind the NAT64
    #[arg(long, default_value = "64:ff9b::192.0.2.8")]
    to: Ipv6Addr,
    /// Seconds after which a session does not come any more
    #[arg(long, default_value_t = 10)]
    limit: u64,
}

impl Latency {
    pub fn run(&self) -> Outcome {
        enter(&self.client)?;
        let client = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        enter(&self.peer)?;
        let mut jool = jool()?;
        let mut port = self.port;
        let mut measured = Vec::new();
        for time in 0..self.times {
            // At every phase of the timers involved, the module's own of 2 s among them.
            thread::sleep(Duration::from_millis(300 + u64::from(time) * 137 % 2100));
            let before = sessions(&mut jool)?;
            let began = Instant::now();
            for _ in 0..self.burst {
                client.send_to(b"x", SocketAddr::from((self.to, port)))?;
                port += 1;
            }
            while sessions(&mut jool)? < before + u64::from(self.burst) {
                if began.elapsed() > Duration::from_secs(self.limit) {
                    let limit = self.limit;
                    return Err(format!("after {limit} s session {time} is still missing").into());
                }
                thread::sleep(Duration::from_millis(1));
            }
            measured.push(began.elapsed());
        }
        measured.sort_unstable();
        let at = |index: usize| {
            measured
                .get(index)
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        println!(
            "median {:.0} max {:.0} ms",
            at(measured.len() / 2),
            at(measured.len() - 1)
        );
        Ok(())
    }
}

/// Makes one node advertise its table and measures until the peer has as many sessions; prints
/// seconds and how many arrived.
#[derive(Args)]
pub struct Advertise {
    /// Namespace of the node that advertises
    #[arg(long, default_value = "A")]
    from: String,
    /// Namespace of the node that is to learn of the sessions
    #[arg(long, default_value = "B")]
    peer: String,
    /// How many sessions it has
    #[arg(long)]
    sessions: u64,
    /// Only measure: something else makes the sessions arrive
    #[arg(long)]
    unasked: bool,
}

impl Advertise {
    pub fn run(&self) -> Outcome {
        enter(&self.peer)?;
        let mut jool = jool()?;
        let began = Instant::now();
        if !self.unasked {
            let status = Command::new("ip")
                .args(["netns", "exec", &self.from, "jool", "session", "advertise"])
                .status()?;
            if !status.success() {
                return Err(format!("jool session advertise: {status}").into());
            }
        }
        let (mut arrived, mut last) = (0, began.elapsed());
        if self.unasked {
            last += Duration::from_secs(20);
        }
        while arrived < self.sessions && began.elapsed() < last + Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(5));
            let now = sessions(&mut jool)?;
            if now > arrived {
                (arrived, last) = (now, began.elapsed());
            }
        }
        println!("{:.2} s {arrived} sessions", last.as_secs_f64());
        Ok(())
    }
}

/// Prints how many sessions a node has.
#[derive(Args)]
pub struct Count {
    /// Its namespace
    node: String,
}

impl Count {
    pub fn run(&self) -> Outcome {
        enter(&self.node)?;
        println!("{}", sessions(&mut jool()?)?);
        Ok(())
    }
}

/// Gives a node's Jool one session with so much of its lifetime left, whatever a daemon would say.
#[derive(Args)]
pub struct Add {
    /// Namespace of the node
    node: String,
    /// A record of 40 bytes, in hex
    record: String,
}

impl Add {
    pub fn run(&self) -> Outcome {
        enter(&self.node)?;
        let mut jool = jool()?;
        let instance = jool.attach()?;
        let bytes: Vec<u8> = (0..self.record.len() / 2)
            .map(|at| u8::from_str_radix(self.record.get(2 * at..2 * at + 2).unwrap_or(""), 16))
            .collect::<Result<_, _>>()?;
        let mut run = Vec::new();
        parse_run(&bytes, &instance.pool6, |session| {
            if let Ok(session) = session {
                instance.format.write(&session, &instance.pool6, &mut run);
            }
        });
        if run.is_empty() {
            return Err("that is no record".into());
        }
        Ok(jool.add(&run)?)
    }
}
