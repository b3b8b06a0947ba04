//! An echo server.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use clap::Args;

use crate::Outcome;

/// A datagram that is answered with the address and port that it came from, as text.
pub const WHO: &[u8] = b"who am I?";

#[derive(Args)]
pub struct Serve {
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8)))]
    address: IpAddr,
    /// TCP and UDP port; UDP to ports from 1024 on is swallowed on the way
    #[arg(long, default_value_t = 80)]
    port: u16,
}

impl Serve {
    pub fn run(&self) -> Outcome {
        let address = SocketAddr::new(self.address, self.port);
        let tcp = TcpListener::bind(address)?;
        let udp = UdpSocket::bind(address)?;
        thread::spawn(move || answer(&udp));
        println!("serving {address}");
        loop {
            let (stream, _) = tcp.accept()?;
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || echo(stream))?;
        }
    }
}

fn answer(udp: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        // An earlier answer's ICMP error surfaces here as an error of the next call.
        if let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let received = buffer.get(..length).unwrap_or_default();
            let _ = match received {
                WHO => udp.send_to(from.to_string().as_bytes(), from),
                _ => udp.send_to(received, from),
            };
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..length).unwrap_or_default())?;
    }
}
