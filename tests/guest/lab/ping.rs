//! ICMP echo with identifiers of our own choice: one session each.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use clap::Args;
use socket2::{Protocol, Socket, Type};

use super::pace::Pace;
use super::route::Route;
use crate::Outcome;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Session `i` has the identifier `first_id + i`; the same arguments make the same sessions again.
#[derive(Args)]
pub struct Ping {
    /// Number of distinct identifiers
    #[arg(long, default_value_t = 1)]
    sessions: u16,
    #[arg(long, default_value_t = 1)]
    first_id: u16,
    /// Requests per second; 0: as fast as possible
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Seconds to wait for the last answers
    #[arg(long, default_value_t = 3)]
    patience: u64,
    /// Fail unless every request was answered
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    route: Route,
}

impl Ping {
    pub fn run(&self) -> Outcome {
        if self.first_id.checked_add(self.sessions).is_none() {
            return Err("identifiers end at 65535".into());
        }
        let to = SocketAddrV6::new(self.route.to, 0, 0, 0).into();
        let sockets = (0..self.route.sources())
            .map(|turn| self.route.socket(Type::RAW, Protocol::ICMPV6, turn, 0))
            .collect::<io::Result<Vec<Socket>>>()?;
        let mut unanswered: HashSet<u16> = HashSet::new();
        let mut pace = Pace::new(self.rate);
        for (id, socket) in (self.first_id..)
            .zip(sockets.iter().cycle())
            .take(self.sessions.into())
        {
            pace.wait(1);
            let [high, low] = id.to_be_bytes();
            // The kernel fills the checksum in.
            socket.send_to(&[ECHO_REQUEST, 0, 0, 0, high, low, 0, 1], &to)?;
            unanswered.insert(id);
        }
        let end = Instant::now() + Duration::from_secs(self.patience);
        for socket in sockets {
            receive(socket, &mut unanswered, end)?;
        }
        let answered = usize::from(self.sessions) - unanswered.len();
        println!(
            "sent {} echo requests, {answered} were answered",
            self.sessions
        );
        if self.all && !unanswered.is_empty() {
            return Err(format!("{} echo requests were not answered", unanswered.len()).into());
        }
        Ok(())
    }
}

/// Crosses out what was answered, until everything was or the time is over.
fn receive(mut socket: Socket, unanswered: &mut HashSet<u16>, end: Instant) -> io::Result<()> {
    let mut buffer = [0; 2048];
    while !unanswered.is_empty() {
        // Not zero, which would mean forever; what has already arrived is read even past the end.
        let left = end
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut buffer) {
            Ok(_) => {
                let [kind, _, _, _, high, low, ..] = buffer;
                if kind == ECHO_REPLY {
                    unanswered.remove(&u16::from_be_bytes([high, low]));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
