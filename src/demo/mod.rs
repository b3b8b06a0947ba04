//! The demonstration: two nodes with simulated Jools on this machine, over real UDP on loopback.
//! One translates made-up traffic and is then stopped; does the other hold every session?

mod picture;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::sleep;

use crate::config::Config;
use crate::jool::Version;
use crate::jool::simulated::{Handle, Simulated, traffic};
use crate::net;
use crate::service::{Control, Failure, Node, Setup, State};
use picture::{Frame, Screen};

/// How long the active node translates.
const TRAFFIC: Duration = Duration::from_secs(8);
/// New sessions per second.
const RATE: u32 = 500;
/// How long the active node lives on without traffic.
const QUIET: Duration = Duration::from_millis(500);
/// How long the standby may take for what is under way when the active node stops.
const SETTLE: Duration = Duration::from_secs(1);
/// How often the picture changes.
const REFRESH: Duration = Duration::from_millis(250);
/// How often a session is followed from one table to the other.
const PROBE: Duration = Duration::from_millis(50);

/// One of the two nodes.
struct Running {
    jool: Handle,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
}

/// Runs it, as text or as JSON, and says whether the standby ended up with every session.
pub fn run(json: bool) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, demonstrate(Screen::new(json)))
}

async fn demonstrate(mut screen: Screen) -> io::Result<bool> {
    let (active_port, standby_port) = free_ports()?;
    let mut active = start(active_port, standby_port)?;
    let mut standby = start(standby_port, active_port)?;
    for node in [&mut active, &mut standby] {
        while !matches!(node.control.snapshot().state, State::Running(_)) {
            node.control.changed().await;
        }
    }
    let mut lags = Lags::default();
    let began = Instant::now();
    {
        let watch = follow(&active.jool, &standby.jool, &mut screen, &mut lags, began);
        tokio::select! {
            () = traffic(&active.jool, RATE) => {}
            () = sleep(TRAFFIC) => {}
            error = watch => error?,
        }
    }
    screen.say("the traffic ends")?;
    sleep(QUIET).await;
    let lost = active.jool.clone();
    active.stop().await?;
    screen.say("the active node stops")?;
    let deadline = Instant::now() + SETTLE;
    while standby.jool.lacks_of(&lost) > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    let frame = Frame::new(&lost, &standby.jool, &lags, began);
    standby.stop().await?;
    screen.end(&frame)?;
    Ok(frame.lacking == 0 && frame.active.sessions > 0)
}

/// Follows sessions from table to table and shows both, until it fails.
async fn follow(
    active: &Handle,
    standby: &Handle,
    screen: &mut Screen,
    lags: &mut Lags,
    began: Instant,
) -> io::Result<()> {
    let mut next_frame = Instant::now();
    loop {
        sleep(PROBE).await;
        let opened = Instant::now();
        let probe = active
            .open_udp("2001:db8::1".parse().map_err(io::Error::other)?, 7)
            .id;
        while !standby.contains(&probe) && opened.elapsed() < SETTLE {
            sleep(Duration::from_millis(1)).await;
        }
        lags.0.push(opened.elapsed());
        if Instant::now() >= next_frame {
            next_frame = Instant::now() + REFRESH;
            screen.show(&Frame::new(active, standby, lags, began))?;
        }
    }
}

/// How long sessions took from table to table.
#[derive(Default)]
struct Lags(Vec<Duration>);

impl Lags {
    /// Median and longest.
    fn summary(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }
}

/// Two UDP ports that were free a moment ago.
fn free_ports() -> io::Result<(u16, u16)> {
    let one = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

fn start(port: u16, peer: u16) -> io::Result<Running> {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = Config {
        network: net::Settings {
            group: None,
            port,
            peers: vec![SocketAddr::new(localhost, peer)],
            receive_interface: Some(net::Interface::Address(localhost)),
            ..Config::default().network
        },
        ..Config::default()
    };
    let (simulated, jool) = Simulated::new(config.jool.clone(), Version::NEWEST);
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let node = Node::open(setup, simulated).map_err(io::Error::other)?;
    let control = node.control();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::task::spawn_local(node.run(async { drop(stopped.await) }));
    Ok(Running {
        jool,
        control,
        stop,
        task,
    })
}

impl Running {
    async fn stop(self) -> io::Result<()> {
        // A node that ended by itself says why below.
        let _ = self.stop.send(());
        self.task
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)
    }
}
