//! UDP flows: many sessions from a few sockets.

use std::io::IoSlice;
use std::net::SocketAddrV6;
use std::os::fd::AsRawFd;

use clap::Args;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn6, sendmmsg};
use socket2::{Protocol, Socket, Type};

use super::pace::Pace;
use super::route::Route;
use crate::Outcome;

/// Lowest destination port; the last is 65534. The server swallows all that comes to these.
const FIRST_PORT: u16 = 1024;
/// Datagrams per system call.
const BATCH: usize = 64;

/// Session `i` runs from socket `i % sockets` to destination port `1024 + i / sockets`, so the same
/// arguments make the same sessions again.
#[derive(Args)]
pub struct Flows {
    /// Number of distinct sessions
    #[arg(long)]
    sessions: usize,
    /// Datagrams per second; 0: as fast as possible
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Datagrams of each session; every session gets its first before any gets its second
    #[arg(long, default_value_t = 1)]
    packets: usize,
    /// Number of sockets: BIB entries, if there are as many sessions
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    sockets: u16,
    /// Source port of the first socket; the others follow
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    source_port: u16,
    #[command(flatten)]
    route: Route,
}

impl Flows {
    pub fn run(&self) -> Outcome {
        let count = usize::from(self.sockets).min(self.sessions);
        let most = count * usize::from(u16::MAX - FIRST_PORT);
        if self.sessions > most {
            return Err(format!("{count} sockets make at most {most} sessions").into());
        }
        let sockets: Vec<Socket> = (0..self.sockets)
            .take(count)
            .map(|i| {
                let port = self.source_port + i;
                self.route
                    .socket(Type::DGRAM, Protocol::UDP, i.into(), port)
            })
            .collect::<Result<_, _>>()?;

        let mut pace = Pace::new(self.rate);
        let burst = pace.burst(BATCH);
        let mut headers = MultiHeaders::preallocate(burst, None);
        for _ in 0..self.packets {
            // In blocks of `burst` ports, so that one call sends many datagrams of one socket.
            let ports = self.sessions.div_ceil(count.max(1));
            for first in (0..ports).step_by(burst) {
                for (i, socket) in sockets.iter().enumerate() {
                    let own_ports = (self.sessions - i).div_ceil(count);
                    let last = own_ports.min(first + burst);
                    let to: Vec<_> = (first..last)
                        .map(|port| Some(self.destination(port)))
                        .collect();
                    pace.wait(to.len());
                    send(socket, &mut headers, &to)?;
                }
            }
        }

        let sent = self.sessions * self.packets;
        let seconds = pace.elapsed().as_secs_f64();
        println!(
            "sent {sent} datagrams of {} sessions in {seconds:.2} s ({:.0}/s)",
            self.sessions,
            sent as f64 / seconds
        );
        Ok(())
    }

    fn destination(&self, port: usize) -> SockaddrIn6 {
        // In range: `run` checked the number of sessions.
        let port = FIRST_PORT.saturating_add(u16::try_from(port).unwrap_or(u16::MAX));
        SocketAddrV6::new(self.route.to, port, 0, 0).into()
    }
}

fn send(
    socket: &Socket,
    headers: &mut MultiHeaders<SockaddrIn6>,
    mut to: &[Option<SockaddrIn6>],
) -> nix::Result<()> {
    let payload = [IoSlice::new(b"guest")];
    while !to.is_empty() {
        let payloads = std::iter::repeat_n(&payload, to.len());
        let sent = sendmmsg(
            socket.as_raw_fd(),
            headers,
            payloads,
            to,
            [],
            MsgFlags::empty(),
        )?;
        to = to.get(sent.count()..).unwrap_or_default();
    }
    Ok(())
}
