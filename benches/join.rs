//! A node without a session joins one with a million: two processes with simulated Jools, over UDP on
//! loopback. Prints seconds from the start of the joining daemon until it says that it is synced,
//! and until its Jool has every session.
//!
//! `cargo bench --bench join [-- [SESSIONS] [KEYS]]`; with a file of keys, an absolute path, only what is sealed
//! is taken.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use joold::config::Config;
use joold::jool::Version;
use joold::jool::simulated::{Handle, Simulated};
use joold::net::{Interface, Settings};
use joold::replication::State;
use joold::seal::Policy;
use joold::service::{Control, Node, Setup, Stop};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The file of keys, if one was given.
fn keys() -> Option<PathBuf> {
    let mut arguments = env::args().skip(1);
    arguments
        .find(|text| text.starts_with('/'))
        .map(PathBuf::from)
}

fn node(name: &str, port: u16, peer: u16) -> io::Result<(Node<Simulated>, Handle)> {
    let config = Config {
        network: Settings {
            group: None,
            port,
            peers: vec![SocketAddr::new(LOCALHOST, peer)],
            receive_interface: Some(Interface::Address(LOCALHOST)),
            ..Config::default().network
        },
        node_name: Some(name.to_owned()),
        seal: match keys() {
            Some(_) => Policy::Require,
            None => Policy::Off,
        },
        key_file: keys(),
        ..Config::default()
    };
    let (simulated, jool) = Simulated::new(config.jool.clone(), Version::NEWEST);
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let node = Node::open(setup, simulated).map_err(io::Error::other)?;
    Ok((node, jool))
}

async fn reaches(control: &mut Control, states: &[State]) {
    while !states.contains(&control.snapshot().status.state) {
        control.changed().await;
    }
}

/// The other process: fills its Jool, and runs until it is killed.
async fn donor(port: u16, peer: u16, sessions: u32) -> io::Result<()> {
    let (node, jool) = node("donor", port, peer)?;
    let client = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 8);
    for number in 0..sessions {
        let port = u16::try_from(number & 0xffff).unwrap_or(0);
        let host = u128::from(number >> 16);
        jool.open_udp(Ipv6Addr::from(u128::from(client) + (host << 16)), port);
    }
    let mut control = node.control();
    let ready = async {
        reaches(&mut control, &[State::Alone]).await;
        println!("ready");
        std::future::pending().await
    };
    node.run(ready).await.map_err(io::Error::other)
}

async fn join(port: u16, peer: u16, sessions: u32) -> io::Result<()> {
    let began = Instant::now();
    let (node, jool) = node("joins", port, peer)?;
    let mut control = node.control();
    let stop = async {
        reaches(&mut control, &[State::Synced]).await;
        println!(
            "synced after {:.2} s, with {} sessions in the table and {} in Jool",
            began.elapsed().as_secs_f64(),
            control.snapshot().status.sessions,
            jool.len()
        );
        while jool.len() < sessions as usize {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!(
            "all {} sessions in Jool after {:.2} s",
            jool.len(),
            began.elapsed().as_secs_f64()
        );
        Stop::Perhaps
    };
    node.run(stop).await.map_err(io::Error::other)
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let numbers: Vec<u32> = env::args().filter_map(|text| text.parse().ok()).collect();
    if let [own, peer, sessions] = numbers[..] {
        let number = |port| u16::try_from(port).map_err(io::Error::other);
        return runtime.block_on(donor(number(own)?, number(peer)?, sessions));
    }
    let sessions = numbers.first().copied().unwrap_or(1_000_000);
    let sockets = [(); 2].map(|()| UdpSocket::bind((LOCALHOST, 0)));
    let [one, other] = sockets.map(|socket| socket.and_then(|socket| socket.local_addr()));
    let (donor, port) = (one?.port(), other?.port());
    let mut child = Command::new(env::current_exe()?)
        .args([donor.into(), port.into(), sessions].map(|number: u32| number.to_string()))
        .args(keys())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    BufReader::new(output).read_line(&mut String::new())?;
    let joined = runtime.block_on(join(port, donor, sessions));
    child.kill()?;
    child.wait()?;
    joined
}
