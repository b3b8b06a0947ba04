//! TCP connections that live for a while.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use socket2::{Protocol, Type};

use super::pace::Pace;
use super::route::Route;
use crate::Outcome;

/// Every connection writes a few bytes, waits until the server echoed them, pauses, and so on until
/// its time is over; then it closes. The program succeeds if none of them failed.
#[derive(Args)]
pub struct Tcp {
    /// Number of connections
    #[arg(long)]
    connections: usize,
    /// Connections opened per second; 0: as fast as possible
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// For how long, from now, each is kept and used; 0: each is used once and closed
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Milliseconds between two uses of a connection
    #[arg(long, default_value_t = 500)]
    pause: u64,
    /// Seconds without an answer after which a connection has failed
    #[arg(long, default_value_t = 20)]
    patience: u64,
    #[arg(long, default_value_t = 80)]
    port: u16,
    #[command(flatten)]
    route: Route,
}

/// What became of one connection.
enum Report {
    Open,
    Closed,
    Failed(io::Error),
}

impl Tcp {
    pub fn run(&self) -> Outcome {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut pace = Pace::new(self.rate);
        let (sender, reports) = channel();
        let (mut open, mut closed, mut failed) = (0, 0, 0);
        thread::scope(|scope| -> io::Result<()> {
            for turn in 0..self.connections {
                pace.wait(1);
                let sender = sender.clone();
                thread::Builder::new()
                    .stack_size(64 * 1024)
                    .spawn_scoped(scope, move || {
                        let last = match self.live(turn, end, &sender) {
                            Ok(()) => Report::Closed,
                            Err(error) => Report::Failed(error),
                        };
                        // Nobody listens any more only when the program is about to end.
                        let _ = sender.send(last);
                    })?;
            }
            drop(sender);
            for report in reports {
                match report {
                    Report::Open => {
                        open += 1;
                        if open == self.connections {
                            println!("all {open} connections are open");
                        }
                    }
                    Report::Closed => closed += 1,
                    Report::Failed(error) => {
                        failed += 1;
                        eprintln!("after {:.1} s: {error}", pace.elapsed().as_secs_f64());
                    }
                }
            }
            Ok(())
        })?;
        println!("{open} connections opened, {closed} closed in order, {failed} failed");
        if failed > 0 {
            return Err(format!("{failed} of {} connections failed", self.connections).into());
        }
        Ok(())
    }

    fn live(&self, turn: usize, end: Instant, sender: &Sender<Report>) -> io::Result<()> {
        let patience = Duration::from_secs(self.patience);
        let socket = self.route.socket(Type::STREAM, Protocol::TCP, turn, 0)?;
        let to = SocketAddr::from((self.route.to, self.port));
        socket.connect_timeout(&to.into(), patience)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        use_once(&mut stream)?;
        let _ = sender.send(Report::Open);
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(self.pause).min(end - Instant::now()));
            use_once(&mut stream)?;
        }
        Ok(())
    }
}

pub fn use_once(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = *b"guest";
    stream.write_all(&bytes)?;
    stream.read_exact(&mut bytes)
}
