//! Literal datagrams on the sync network.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use clap::Args;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::pace::Pace;
use crate::Outcome;

#[derive(Args)]
struct Group {
    /// The group (or a single host's address, to send to)
    #[arg(long)]
    group: IpAddr,
    #[arg(long, default_value_t = 6464)]
    port: u16,
    /// Name of the interface
    #[arg(long)]
    interface: String,
}

impl Group {
    /// A socket tied to the interface, the group's address on it, and the interface's index.
    fn socket(&self) -> Outcome<(Socket, SocketAddr, u32)> {
        let index = if_nametoindex(self.interface.as_str())
            .map_err(|error| format!("interface {}: {error}", self.interface))?;
        let address = match self.group {
            IpAddr::V4(_) => SocketAddr::new(self.group, self.port),
            IpAddr::V6(group) => SocketAddrV6::new(group, self.port, 0, index).into(),
        };
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        Ok((socket, address, index))
    }
}

#[derive(Args)]
pub struct SendFrame {
    #[command(flatten)]
    group: Group,
    /// Send everything so many times
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Datagrams per second; 0: as fast as possible
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Source port; 0: any
    #[arg(long, default_value_t = 0)]
    source_port: u16,
    /// A datagram in hex, or a file with one on each line (`#` starts a comment)
    #[arg(required = true)]
    datagrams: Vec<String>,
}

impl SendFrame {
    pub fn run(&self) -> Outcome {
        let mut datagrams = Vec::new();
        for argument in &self.datagrams {
            match std::fs::read_to_string(argument) {
                Ok(text) => {
                    for line in text
                        .lines()
                        .map(|line| line.split('#').next().unwrap_or(""))
                    {
                        if !line.trim().is_empty() {
                            datagrams.push(parse_hex(line)?);
                        }
                    }
                }
                // Longer than a file name may be, or no such file: then it is the datagram itself.
                Err(_) => datagrams.push(parse_hex(argument)?),
            }
        }
        let (socket, to, _) = self.group.socket()?;
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        socket.bind(&SocketAddr::new(any, self.source_port).into())?;
        let mut pace = Pace::new(self.rate);
        for _ in 0..self.count {
            for datagram in &datagrams {
                pace.wait(1);
                socket.send_to(datagram, &to.into())?;
            }
        }
        println!("sent {} datagrams to {to}", self.count * datagrams.len());
        Ok(())
    }
}

#[derive(Args)]
pub struct ListenFrames {
    #[command(flatten)]
    group: Group,
    /// Stop after so many seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Stop after so many datagrams; fail if fewer came in time
    #[arg(long)]
    count: Option<usize>,
}

impl ListenFrames {
    pub fn run(&self) -> Outcome {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let (socket, address, index) = self.group.socket()?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        match self.group.group {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, index)?,
        }
        let socket = std::net::UdpSocket::from(socket);
        let mut buffer = vec![0; 65_536];
        let mut received = 0;
        eprintln!("listening to {address}");
        while self.count.is_none_or(|count| received < count) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    received += 1;
                    println!(
                        "{from} {length} {}",
                        hex(buffer.get(..length).unwrap_or_default())
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        match self.count {
            Some(count) if received < count => Err(format!(
                "{received} of {count} datagrams came within {} s",
                self.seconds
            )
            .into()),
            _ => Ok(()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from pairs of hex digits; white space does not count.
fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| {
            letter
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("neither a file nor hex: {text}"))?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("an odd number of hex digits: {text}"));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
