use std::fs::File;
use std::net::{TcpListener, UdpSocket as StdUdpSocket};
use std::time::Duration;

use super::*;
use crate::net::{Destination, Interface};

const LIMIT: Duration = Duration::from_secs(10);

/// A node that listens on this address only, and hears these.
fn unicast(listen: &str, peers: &[SocketAddr]) -> Settings {
    let listen: SocketAddr = listen.parse().unwrap();
    Settings {
        group: None,
        port: listen.port(),
        peers: peers.to_vec(),
        receive_interface: Some(Interface::Address(listen.ip())),
        send_interface: None,
        reuse_address: false,
        hop_limit: 1,
    }
}

fn multicast(group: &str) -> Settings {
    let group: SocketAddr = group.parse().unwrap();
    Settings {
        group: Some(group),
        port: group.port(),
        peers: Vec::new(),
        receive_interface: Some("lo".into()),
        send_interface: Some("lo".into()),
        reuse_address: true,
        hop_limit: 7,
    }
}

/// Two nodes on a loopback address, the first of which has the second as its only peer.
fn pair(ip: &str) -> (Network, Network) {
    let anyone = format!("{ip}:1").parse().unwrap();
    let second = Network::open(&unicast(&format!("{ip}:0"), &[anyone])).unwrap();
    let first = unicast(&format!("{ip}:0"), &[second.local_addr()]);
    (Network::open(&first).unwrap(), second)
}

/// Reads until this many datagrams were heard, in whichever batches they come.
async fn take(network: &mut Network, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let readable = tokio::time::timeout(LIMIT, network.readable()).await;
        readable.expect("nothing arrived").unwrap();
        let more = network.receive(|datagram| {
            heard.push((datagram.from, datagram.bytes.to_vec()));
        });
        more.unwrap();
    }
    heard
}

fn outbox(datagrams: &[(Destination, &[u8])]) -> Outbox {
    let mut outbox = Outbox::new();
    for (to, bytes) in datagrams {
        outbox.push(*to, bytes);
    }
    outbox
}

async fn crosses(ip: &str, datagram: &[u8]) {
    let (mut first, mut second) = pair(ip);
    let mut outbox = outbox(&[(Destination::Everyone, datagram)]);
    first.send(&mut outbox);
    assert!(outbox.is_empty());
    let heard = take(&mut second, 1).await;
    assert!(heard == [(first.local_addr(), datagram.to_vec())], "{ip}");

    let sent = first.counters();
    assert_eq!(
        (sent.sent_datagrams, sent.sent_bytes),
        (1, datagram.len() as u64)
    );
    let received = second.counters();
    assert_eq!(
        (received.received_datagrams, received.received_bytes),
        (1, datagram.len() as u64)
    );
}

#[tokio::test]
async fn a_datagram_reaches_the_peer_whole_from_the_empty_to_the_longest() {
    crosses("127.0.0.1", b"over IPv4").await;
    crosses("127.0.0.1", b"").await;
    crosses("127.0.0.1", &[4; 65_507]).await;
    crosses("[::1]", b"over IPv6").await;
    crosses("[::1]", b"").await;
    crosses("[::1]", &[6; 65_527]).await;
}

#[tokio::test]
async fn more_datagrams_than_a_batch_takes_arrive_in_order() {
    let (mut first, mut second) = pair("127.0.0.1");
    let mut outbox = Outbox::new();
    for number in 0..100_u8 {
        outbox.push(Destination::Everyone, &[number; 100]);
    }
    first.send(&mut outbox);
    let heard = take(&mut second, 100).await;
    let numbers: Vec<_> = heard.iter().map(|(_, bytes)| bytes[0]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
}

#[tokio::test]
async fn one_call_takes_a_batch_at_most_and_says_whether_there_may_be_more() {
    let (mut first, mut second) = pair("127.0.0.1");
    let mut outbox = Outbox::new();
    for _ in 0..BATCH + 1 {
        outbox.push(Destination::Everyone, b"a");
    }
    first.send(&mut outbox);
    second.readable().await.unwrap();
    let mut taken = 0;
    assert!(second.receive(|_| taken += 1).unwrap());
    assert_eq!(taken, BATCH);
    assert!(!second.receive(|_| taken += 1).unwrap());
    assert_eq!(taken, BATCH + 1);
    assert!(!second.receive(|_| taken += 1).unwrap());
    assert_eq!(taken, BATCH + 1);
}

#[tokio::test]
async fn a_datagram_goes_to_every_peer_or_to_the_one_that_it_is_for() {
    let anyone = "127.0.0.1:1".parse().unwrap();
    let listen = || Network::open(&unicast("127.0.0.1:0", &[anyone])).unwrap();
    let (mut first, mut second) = (listen(), listen());
    let peers = [first.local_addr(), second.local_addr()];
    let mut sender = Network::open(&unicast("127.0.0.1:0", &peers)).unwrap();
    sender.send(&mut outbox(&[
        (Destination::Everyone, b"all"),
        (Destination::One(peers[1]), b"one"),
        (Destination::Everyone, b"end"),
    ]));
    let bytes = |heard: Vec<(SocketAddr, Vec<u8>)>| {
        let bytes: Vec<_> = heard.into_iter().map(|(_, bytes)| bytes).collect();
        bytes.concat()
    };
    assert_eq!(bytes(take(&mut first, 2).await), b"allend");
    assert_eq!(bytes(take(&mut second, 3).await), b"alloneend");
}

#[tokio::test]
async fn with_peers_and_no_group_a_stranger_is_not_heard() {
    let peer = "127.0.0.1:1".parse().unwrap();
    let mut node = Network::open(&unicast("127.0.0.1:0", &[peer])).unwrap();
    let stranger = StdUdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"strange", node.local_addr()).unwrap();
    let known = StdUdpSocket::bind("127.0.0.1:0").unwrap();
    known.send_to(b"known", node.local_addr()).unwrap();

    let heard = take(&mut node, 1).await;
    assert_eq!(heard, [(known.local_addr().unwrap(), b"known".to_vec())]);
    assert_eq!(node.counters().strangers, 1);
    assert_eq!(node.counters().received_datagrams, 1);
}

#[tokio::test]
async fn with_a_group_everybody_is_heard() {
    let mut settings = multicast("233.252.0.64:0");
    settings.peers = vec!["127.0.0.1:1".parse().unwrap()];
    let mut node = Network::open(&settings).unwrap();
    let stranger = StdUdpSocket::bind("127.0.0.2:0").unwrap();
    let to = SocketAddr::new([127, 0, 0, 1].into(), node.local_addr().port());
    stranger.send_to(b"strange", to).unwrap();
    assert_eq!(take(&mut node, 1).await.len(), 1);
    assert_eq!(node.counters().strangers, 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted_and_does_not_hold_up_the_rest() {
    let (mut first, mut second) = pair("127.0.0.1");
    let other_family = Destination::One("[2001:db8::1]:6400".parse().unwrap());
    let mut outbox = outbox(&[
        (Destination::Everyone, b"before"),
        (Destination::Everyone, &[0; 65_508]),
        (other_family, b"astray"),
        (Destination::Everyone, b"after"),
    ]);
    first.send(&mut outbox);
    assert!(outbox.is_empty());
    let heard = take(&mut second, 2).await;
    assert_eq!(heard[0].1, b"before");
    assert_eq!(heard[1].1, b"after");

    let counters = first.counters();
    assert_eq!(counters.sent_datagrams, 2);
    assert_eq!(counters.unsent.other, 2, "{counters:?}");
    let failure = counters.last_failure.unwrap().to_string();
    assert!(failure.contains("[2001:db8::1]:6400"), "{failure}");
}

#[tokio::test]
async fn what_the_outbox_had_no_room_for_is_counted() {
    let (mut first, _second) = pair("127.0.0.1");
    let mut outbox = Outbox::new();
    while outbox.take_refused() == 0 {
        outbox.push(Destination::Everyone, &[0; 65_000]);
    }
    outbox.push(Destination::Everyone, &[0; 65_000]);
    first.send(&mut outbox);
    assert_eq!(first.counters().unsent.outbox_full, 1);
}

#[tokio::test]
async fn a_group_has_its_hop_limit_no_loopback_and_no_foreign_groups() {
    let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
    let socket = SockRef::from(&network.socket);
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
    assert!(!socket.multicast_loop_v4().unwrap());
    assert!(!socket.multicast_all_v4().unwrap());
    assert_ne!(socket.ttl_v4().unwrap(), 7);
    assert!(socket.reuse_address().unwrap());

    let network = Network::open(&multicast("[ff15::6a6f:6f6c]:0")).unwrap();
    let socket = SockRef::from(&network.socket);
    assert_eq!(socket.multicast_hops_v6().unwrap(), 7);
    assert!(!socket.multicast_loop_v6().unwrap());
    assert!(!socket.multicast_all_v6().unwrap());
    assert!(socket.only_v6().unwrap());
    assert_ne!(socket.unicast_hops_v6().unwrap(), 7);
    let lo = Interface::from("lo").index().unwrap();
    assert_eq!(socket.multicast_if_v6().unwrap(), lo);
}

#[tokio::test]
async fn a_group_is_bound_itself_and_a_link_local_one_to_its_interface() {
    let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
    assert!(network.local_addr().ip().is_multicast());

    let network = Network::open(&multicast("[ff02::6a6f:6f6c]:0")).unwrap();
    let SocketAddr::V6(local) = network.local_addr() else {
        panic!("{network:?}");
    };
    assert_eq!(local.scope_id(), Interface::from("lo").index().unwrap());
}

#[tokio::test]
async fn the_buffers_are_larger_than_a_socket_gets_by_default() {
    let ordinary = SockRef::from(&StdUdpSocket::bind("127.0.0.1:0").unwrap())
        .recv_buffer_size()
        .unwrap();
    let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
    assert!(network.receive_buffer().unwrap() > ordinary);
    assert!(network.send_buffer().unwrap() > ordinary);
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_named() {
    let mut settings = multicast("233.252.0.64:0");
    settings.send_interface = Some("no-such-eth0".into());
    let error = Network::open(&settings).unwrap_err();
    assert!(error.to_string().contains("no-such-eth0"), "{error}");

    settings.receive_interface = Some("203.0.113.77".into());
    let error = Network::open(&settings).unwrap_err();
    assert!(error.to_string().contains("203.0.113.77"), "{error}");
}

#[tokio::test]
async fn a_link_local_address_without_an_interface_is_refused() {
    let mut settings = multicast("[ff02::6a6f:6f6c]:0");
    (settings.receive_interface, settings.send_interface) = (None, None);
    let error = Network::open(&settings).unwrap_err();
    assert!(matches!(error, OpenError::InterfaceRequired(_)), "{error}");

    let mut settings = unicast("[::1]:0", &["[fe80::1]:6400".parse().unwrap()]);
    settings.receive_interface = None;
    let error = Network::open(&settings).unwrap_err();
    assert!(matches!(error, OpenError::InterfaceRequired(_)), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_ways_out() {
    let taken = StdUdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Network::open(&unicast(&address.to_string(), &[address])).unwrap_err();
    assert!(matches!(error, OpenError::Bind { .. }), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains(&address.to_string()), "{sentence}");
    assert!(sentence.contains("reuseaddr"), "{sentence}");
}

#[tokio::test]
async fn an_inherited_socket_serves_like_one_of_our_own() {
    let inherited = StdUdpSocket::bind("0.0.0.0:0").unwrap();
    let port = inherited.local_addr().unwrap().port();
    let mut settings = multicast(&format!("233.252.0.64:{port}"));
    settings.peers = vec!["127.0.0.1:1".parse().unwrap()];
    let mut node = Network::from_socket(inherited.into(), &settings).unwrap();
    assert_eq!(node.local_addr().port(), port);
    assert_eq!(SockRef::from(&node.socket).multicast_ttl_v4().unwrap(), 7);

    let sender = StdUdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    assert_eq!(take(&mut node, 1).await.len(), 1);
}

#[tokio::test]
async fn an_inherited_socket_may_be_a_member_already() {
    let inherited = StdUdpSocket::bind("233.252.0.64:0").unwrap();
    let group = inherited.local_addr().unwrap();
    let group_ip = "233.252.0.64".parse().unwrap();
    inherited
        .join_multicast_v4(&group_ip, &"127.0.0.1".parse().unwrap())
        .unwrap();
    Network::from_socket(inherited.into(), &multicast(&group.to_string())).unwrap();
}

#[tokio::test]
async fn an_inherited_descriptor_that_is_no_udp_socket_is_refused() {
    let settings = unicast("127.0.0.1:6400", &[]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = File::open("/dev/null").unwrap();
    for fd in [OwnedFd::from(tcp), OwnedFd::from(file)] {
        let error = Network::from_socket(fd, &settings).unwrap_err();
        assert!(matches!(error, OpenError::NotUdp), "{error}");
    }
}

#[tokio::test]
async fn an_inherited_socket_that_listens_elsewhere_is_refused() {
    let group = multicast("233.252.0.64:6400");
    // Another port, another address, another group, another family.
    for (bound, settings) in [
        ("0.0.0.0:0", &group),
        ("127.0.0.1:0", &group),
        ("233.252.0.65:0", &group),
        ("[::]:0", &group),
        ("233.252.0.64:0", &unicast("127.0.0.1:0", &[])),
    ] {
        let inherited = StdUdpSocket::bind(bound).unwrap();
        let found = inherited.local_addr().unwrap();
        let mut settings = settings.clone();
        if bound != "0.0.0.0:0" {
            settings.port = found.port();
        }
        let error = Network::from_socket(inherited.into(), &settings).unwrap_err();
        assert!(
            matches!(error, OpenError::Elsewhere { found: address, .. } if address == found),
            "{bound}: {error}"
        );
    }
}
