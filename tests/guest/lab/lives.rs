//! Connections and flows that must outlive whatever happens to the NAT64s.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use socket2::{Protocol, Type};
use tokio::signal::unix::{SignalKind, signal};

use super::pace::Pace;
use super::route::Route;
use super::serve::WHO;
use super::tcp::use_once;
use crate::Outcome;

/// TCP connections that talk, TCP connections that are silent from the first second to the last, and
/// UDP flows. SIGUSR1 ends a phase: one line is printed when each that lives was heard since then.
/// SIGTERM ends the program: every silent connection is used once more, and a last line tells what
/// became of all. It succeeds if no connection died and no flow got another mask, which is the
/// address and port that the server sees.
#[derive(Args)]
pub struct Lives {
    /// Number of TCP connections of which each is used every 500 ms
    #[arg(long, default_value_t = 100)]
    chatty: usize,
    /// Number of TCP connections that are used at the beginning and at the end only
    #[arg(long, default_value_t = 190)]
    idle: usize,
    /// Number of UDP flows, with a datagram every 200 ms
    #[arg(long, default_value_t = 50)]
    udp: usize,
    /// Connections opened per second; 0: as fast as possible
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Seconds without an answer after which a connection or flow is dead
    #[arg(long, default_value_t = 20)]
    patience: u64,
    #[arg(long, default_value_t = 80)]
    port: u16,
    #[command(flatten)]
    route: Route,
}

const TCP_PAUSE: Duration = Duration::from_millis(500);
const UDP_PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Udp,
}

enum Event {
    /// One that lives was heard since the phase ended.
    Heard {
        kind: Kind,
        /// The longest time without an answer beyond the usual pause, within the phase.
        silence: Duration,
    },
    Dead {
        kind: Kind,
        why: io::Error,
    },
    /// A flow has another mask than it had; told once for each flow.
    OtherMask(String),
    PhaseEnds,
    End,
}

/// What the threads look at between two uses.
#[derive(Default)]
struct Orders {
    phase: AtomicU32,
    end: AtomicBool,
}

impl Orders {
    fn phase(&self) -> u32 {
        self.phase.load(Ordering::Relaxed)
    }

    fn at_end(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }
}

/// The silences of one connection or flow.
struct Silence<'a> {
    kind: Kind,
    orders: &'a Orders,
    events: &'a Sender<Event>,
    pause: Duration,
    phase: u32,
    last: Instant,
    longest: Duration,
}

impl<'a> Silence<'a> {
    fn new(kind: Kind, orders: &'a Orders, events: &'a Sender<Event>) -> Self {
        Self {
            kind,
            orders,
            events,
            pause: match kind {
                Kind::Tcp => TCP_PAUSE,
                Kind::Udp => UDP_PAUSE,
            },
            phase: 0,
            last: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// An answer came to what was sent when `phase` was the phase.
    fn heard(&mut self, phase: u32) {
        let silence = self.last.elapsed().saturating_sub(self.pause);
        self.longest = self.longest.max(silence);
        self.last = Instant::now();
        if phase != self.phase {
            self.phase = phase;
            self.report();
        }
    }

    fn report(&mut self) {
        // Nobody listens any more only when the program is about to end.
        let _ = self.events.send(Event::Heard {
            kind: self.kind,
            silence: std::mem::take(&mut self.longest),
        });
    }
}

/// How those of one kind are.
struct Tally {
    of: usize,
    alive: usize,
    heard: usize,
    longest: Duration,
    longest_ever: Duration,
}

impl Tally {
    fn new(of: usize) -> Self {
        Self {
            of,
            alive: of,
            heard: 0,
            longest: Duration::ZERO,
            longest_ever: Duration::ZERO,
        }
    }

    fn complete(&self) -> bool {
        self.heard >= self.alive
    }

    fn next_phase(&mut self) {
        self.heard = 0;
        self.longest = Duration::ZERO;
    }
}

struct Tallies {
    tcp: Tally,
    udp: Tally,
    other_masks: usize,
}

impl Tallies {
    fn of(&mut self, kind: Kind) -> &mut Tally {
        match kind {
            Kind::Tcp => &mut self.tcp,
            Kind::Udp => &mut self.udp,
        }
    }

    /// Counts until everyone that lives was heard since a signal asked for it; whether that was
    /// the signal to end.
    fn phase(
        &mut self,
        events: &Receiver<Event>,
        orders: &Orders,
        began: Instant,
    ) -> Outcome<bool> {
        let mut asked = false;
        while !asked || !self.tcp.complete() || !self.udp.complete() {
            match events.recv()? {
                Event::Heard { kind, silence } => {
                    let tally = self.of(kind);
                    tally.heard += 1;
                    tally.longest = tally.longest.max(silence);
                    tally.longest_ever = tally.longest_ever.max(silence);
                }
                Event::Dead { kind, why } => {
                    self.of(kind).alive -= 1;
                    let name = match kind {
                        Kind::Tcp => "a connection",
                        Kind::Udp => "a flow",
                    };
                    eprintln!(
                        "after {:.1} s {name} died: {why}",
                        began.elapsed().as_secs_f64()
                    );
                }
                Event::OtherMask(masks) => {
                    self.other_masks += 1;
                    eprintln!("after {:.1} s {masks}", began.elapsed().as_secs_f64());
                }
                Event::PhaseEnds => {
                    asked = true;
                    orders.phase.fetch_add(1, Ordering::Relaxed);
                }
                Event::End => {
                    asked = true;
                    orders.end.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(orders.at_end())
    }
}

impl Lives {
    pub fn run(&self) -> Outcome {
        let began = Instant::now();
        let orders = Orders::default();
        let (sender, events) = channel();
        watch_signals(sender.clone())?;
        let mut pace = Pace::new(self.rate);
        let mut connect = |turn| {
            pace.wait(1);
            self.connect(turn)
        };
        let mut idle = (0..self.idle)
            .map(&mut connect)
            .collect::<io::Result<Vec<_>>>()?;
        let chatty = (self.idle..self.idle + self.chatty)
            .map(&mut connect)
            .collect::<io::Result<Vec<_>>>()?;
        let flows = (0..self.udp)
            .map(|turn| self.flow(turn))
            .collect::<io::Result<Vec<_>>>()?;
        println!(
            "{} connections are open, and {} flows",
            idle.len() + chatty.len(),
            flows.len()
        );

        let mut tallies = Tallies {
            tcp: Tally::new(chatty.len()),
            udp: Tally::new(flows.len()),
            other_masks: 0,
        };
        thread::scope(|scope| -> Outcome {
            let orders = &orders;
            let spawn = || thread::Builder::new().stack_size(64 * 1024);
            for stream in chatty {
                let sender = sender.clone();
                spawn().spawn_scoped(scope, move || {
                    let silence = Silence::new(Kind::Tcp, orders, &sender);
                    if let Err(why) = talk(stream, silence) {
                        let _ = sender.send(Event::Dead {
                            kind: Kind::Tcp,
                            why,
                        });
                    }
                })?;
            }
            let patience = Duration::from_secs(self.patience);
            for (socket, mask) in flows {
                let sender = sender.clone();
                spawn().spawn_scoped(scope, move || {
                    let silence = Silence::new(Kind::Udp, orders, &sender);
                    if let Err(why) = flow(&socket, &mask, silence, patience) {
                        let _ = sender.send(Event::Dead {
                            kind: Kind::Udp,
                            why,
                        });
                    }
                })?;
            }
            while !tallies.phase(&events, orders, began)? {
                println!(
                    "{} of {} TCP connections live, silent for {} ms at most; {} of {} UDP flows live, \
                     silent for {} ms at most, {} got another mask",
                    tallies.tcp.alive,
                    tallies.tcp.of,
                    tallies.tcp.longest.as_millis(),
                    tallies.udp.alive,
                    tallies.udp.of,
                    tallies.udp.longest.as_millis(),
                    tallies.other_masks,
                );
                tallies.tcp.next_phase();
                tallies.udp.next_phase();
            }
            Ok(())
        })?;

        let idle_alive = self.use_again(&mut idle, began);
        let Tallies {
            tcp,
            udp,
            other_masks,
        } = tallies;
        println!(
            "TCP: {} of {} busy and {idle_alive} of {} idle connections live; UDP: {} of {} flows live, \
             {other_masks} got another mask; longest silence {} ms TCP, {} ms UDP",
            tcp.alive,
            tcp.of,
            self.idle,
            udp.alive,
            udp.of,
            tcp.longest_ever.as_millis(),
            udp.longest_ever.as_millis(),
        );
        let dead = tcp.of - tcp.alive + self.idle - idle_alive + udp.of - udp.alive;
        if dead + other_masks > 0 {
            return Err(format!("{dead} died and {other_masks} got another mask").into());
        }
        Ok(())
    }

    /// A connection that has been used once.
    fn connect(&self, turn: usize) -> io::Result<TcpStream> {
        let patience = Duration::from_secs(self.patience);
        let socket = self.route.socket(Type::STREAM, Protocol::TCP, turn, 0)?;
        socket.connect_timeout(
            &SocketAddr::from((self.route.to, self.port)).into(),
            patience,
        )?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        use_once(&mut stream)?;
        Ok(stream)
    }

    /// A flow and its mask.
    fn flow(&self, turn: usize) -> io::Result<(UdpSocket, String)> {
        let socket = self.route.socket(Type::DGRAM, Protocol::UDP, turn, 0)?;
        socket.connect(&SocketAddr::from((self.route.to, self.port)).into())?;
        let socket = UdpSocket::from(socket);
        let end = Instant::now() + Duration::from_secs(self.patience);
        socket.set_read_timeout(Some(UDP_PAUSE))?;
        loop {
            socket.send(WHO)?;
            match receive(&socket) {
                Ok(mask) => return Ok((socket, mask)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock || Instant::now() > end => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
    }

    /// Uses all of them at once, and counts those that answer.
    fn use_again(&self, idle: &mut [TcpStream], began: Instant) -> usize {
        for stream in &mut *idle {
            // What cannot be written is not answered, either.
            let _ = stream.write_all(b"guest");
        }
        let end = Instant::now() + Duration::from_secs(self.patience);
        idle.iter_mut()
            .filter(|stream| {
                let left = end
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1));
                let mut bytes = [0; 5];
                let answer = stream
                    .set_read_timeout(Some(left))
                    .and_then(|()| (&mut &**stream).read_exact(&mut bytes));
                if let Err(error) = &answer {
                    eprintln!(
                        "after {:.1} s an idle connection is dead: {error}",
                        began.elapsed().as_secs_f64()
                    );
                }
                answer.is_ok()
            })
            .count()
    }
}

fn talk(mut stream: TcpStream, mut silence: Silence<'_>) -> io::Result<()> {
    while !silence.orders.at_end() {
        thread::sleep(TCP_PAUSE);
        let phase = silence.orders.phase();
        use_once(&mut stream)?;
        silence.heard(phase);
    }
    silence.report();
    Ok(())
}

fn flow(
    socket: &UdpSocket,
    mask: &str,
    mut silence: Silence<'_>,
    patience: Duration,
) -> io::Result<()> {
    let mut told = false;
    while !silence.orders.at_end() || silence.last.elapsed() > UDP_PAUSE * 2 {
        let phase = silence.orders.phase();
        // An ICMP error of an earlier datagram surfaces here; whether the flow lives, answers tell.
        let _ = socket.send(WHO);
        // Until there has been none for the length of the pause.
        loop {
            match receive(socket) {
                Ok(now) => {
                    silence.heard(phase);
                    if now != mask && !told {
                        told = true;
                        let _ = silence
                            .events
                            .send(Event::OtherMask(format!("{mask} is {now} now")));
                    }
                }
                Err(error) if silence.last.elapsed() > patience => return Err(error),
                Err(_) => break,
            }
        }
    }
    silence.report();
    Ok(())
}

fn receive(socket: &UdpSocket) -> io::Result<String> {
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}

/// SIGUSR1 and SIGTERM become events; from when this returns, neither ends the program by itself.
fn watch_signals(events: Sender<Event>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut phase, mut end) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::terminate())?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let event = tokio::select! {
                    _ = phase.recv() => Event::PhaseEnds,
                    _ = end.recv() => Event::End,
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        });
    });
    Ok(())
}
