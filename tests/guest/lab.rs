//! What a guest's scenarios need and Debian does not bring: traffic through a NAT64, a server for
//! it, and single datagrams on the sync network.

#![allow(unreachable_pub, reason = "a program: its modules have no other users")]

mod lab {
    pub mod flows;
    pub mod frames;
    pub mod lives;
    pub mod pace;
    pub mod ping;
    pub mod route;
    pub mod serve;
    pub mod table;
    pub mod tcp;
}

use std::process::ExitCode;

use clap::Parser;

use lab::{flows, frames, lives, ping, serve, table, tcp};

/// Any failure ends the program with one sentence.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(
    name = "guest-lab",
    about = "Traffic and raw datagrams for the guest's scenarios"
)]
enum Command {
    /// Sends UDP datagrams of many flows through the NAT64
    Flows(flows::Flows),
    /// Opens TCP connections through the NAT64, keeps them busy, and closes them
    Tcp(tcp::Tcp),
    /// Keeps TCP connections and UDP flows alive, and tells which died or got another mask
    Lives(lives::Lives),
    /// Sends ICMP echo requests with many identifiers through the NAT64
    Ping(ping::Ping),
    /// Answers TCP and UDP with what was received, until killed
    Serve(serve::Serve),
    /// Sends literal datagrams to a group
    SendFrame(frames::SendFrame),
    /// Prints the datagrams that a group receives: sender, length, bytes in hex
    ListenFrames(frames::ListenFrames),
    /// Measures how long new sessions take to get into the peer's table
    Latency(table::Latency),
    /// Measures how long an advertised table takes to get to the peer
    Advertise(table::Advertise),
    /// Prints how many sessions a node has
    Count(table::Count),
    /// Gives a node's Jool a session, past its daemon
    Add(table::Add),
}

/// The netlink sockets register with a runtime, even if nobody waits for them here.
fn in_runtime(run: impl FnOnce() -> Outcome) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    run()
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Flows(flows) => flows.run(),
        Command::Tcp(tcp) => tcp.run(),
        Command::Lives(lives) => lives.run(),
        Command::Ping(ping) => ping.run(),
        Command::Serve(serve) => serve.run(),
        Command::SendFrame(send) => send.run(),
        Command::ListenFrames(listen) => listen.run(),
        Command::Latency(latency) => in_runtime(|| latency.run()),
        Command::Advertise(advertise) => in_runtime(|| advertise.run()),
        Command::Count(count) => in_runtime(|| count.run()),
        Command::Add(add) => in_runtime(|| add.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-lab: {error}");
            ExitCode::FAILURE
        }
    }
}
