//! What everything that the engine has amounts to.

use std::time::{Duration, Instant};

use crate::replication::event::{Audit, Difference};
use crate::replication::fitness::{Facts, Failback, Fitness, Judge};
use crate::replication::group::{Group, Node, display_name};
use crate::replication::local::{AuditState, Join, Local};
use crate::replication::repair::Repair;
use crate::replication::state::State;
use crate::replication::store::{Ledger, OwnLog};

use super::shown::PASSING;
use super::status::{Kind, Peer, Status, Successor, TableReading, Transfer, Verified};

/// How long ago, in milliseconds, a peer may have been told the first record that it has not yet
/// said to have, for a failover to be safe.
const SAFE_LAG: u32 = 1000;
/// So many sessions are given to our own Jool in one go.
const ONE_RUN: usize = 1_500;
/// Stock peers that were silent for longer are not there.
const STOCK_PRESENT: Duration = Duration::from_secs(60);

/// All that the engine has, at one moment on its clock, in milliseconds.
pub(crate) struct View<'a> {
    pub(crate) now: u64,
    pub(crate) group: &'a Group,
    pub(crate) ledger: &'a Ledger,
    pub(crate) own_log: &'a OwnLog,
    pub(crate) local: &'a Local,
    pub(crate) audit: &'a AuditState,
    pub(crate) join: &'a Join,
    pub(crate) repair: &'a Repair,
    pub(crate) judge: &'a Judge,
}

impl View<'_> {
    /// What this node is about. Nothing is known to be missing to one that is synced.
    pub(crate) fn state(&self) -> State {
        if !self.local.is_attached {
            State::Waiting
        } else if !self.join.has_joined() {
            State::Joining
        } else if self.is_degraded() {
            State::Degraded
        } else if !self.group.nodes.all_present().any(Node::has_jool) {
            State::Alone
        } else {
            State::Synced
        }
    }

    fn is_degraded(&self) -> bool {
        self.is_incomplete()
            || self.audit.refuses.count > 0
            || self.group.has_namesake(self.now)
            || self.group.logs.iter().any(|(_, log)| log.lacks())
    }

    /// Whether something is missing that no other node is asked for.
    fn is_incomplete(&self) -> bool {
        self.audit.lacks()
            || self.audit.refused
            || !self.repair.lost().is_empty()
            || self.ledger.lacks_given_up
            || self.group.clones(self.now).next().is_some()
            || self.group.overlooked(self.now).next().is_some()
    }

    /// What is missing, a sentence each.
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let lacking = self.group.logs.iter().filter(|(_, log)| log.lacks());
        for (_, log) in lacking {
            let (missing, name) = (log.missing.len(), self.group.name_of(log.key.node));
            reasons.push(format!("{missing} records of {name} are not here yet"));
        }
        for (node, lost) in self.repair.lost() {
            let name = self.group.name_of(*node);
            reasons.push(format!(
                "{lost} records of {name} are lost: no node that is there has them"
            ));
        }
        if self.audit.refused {
            reasons.push("Jool refused sessions, its table will be compared soon".to_owned());
        }
        if self.audit.refuses.count > 0 {
            reasons.push(self.audit.refuses.to_string());
        }
        if self.audit.lacks() {
            reasons.push(
                "records of our own Jool were lost on the way, its table is being compared"
                    .to_owned(),
            );
        }
        if self.ledger.lacks_given_up {
            reasons.push(format!(
                "the table is full, {} sessions were given up; raise \"max sessions\"",
                self.ledger.given_up
            ));
        }
        if self.group.has_namesake(self.now) {
            reasons.push(
                "another node says that it is this very one; set another \"node name\" in one of \
                 the two"
                    .to_owned(),
            );
        }
        for (name, [one, other]) in self.group.clones(self.now) {
            reasons.push(format!(
                "two nodes say that they are {name}, at {one} and {other}, and only one is heard; \
                 set another \"node name\" in one of the two"
            ));
        }
        for name in self.group.overlooked(self.now) {
            reasons.push(format!(
                "there are too many nodes: what {name} announces is not followed"
            ));
        }
        reasons
    }

    /// How everything stands. `instant`: from our clock to the caller's.
    pub(crate) fn status(
        &self,
        shown: State,
        audit: Option<Audit>,
        instant: impl Fn(u64) -> Instant,
    ) -> Status {
        let own = self.group.own;
        Status {
            state: shown,
            fitness: self.judge.verdict(),
            fitness_reason: self.fitness_reason(),
            reasons: self.reasons(),
            missing: self.group.logs.missing(),
            name: self.group.name_of(own.node),
            cluster: self.group.cluster().to_owned(),
            node: own.node,
            epoch: own.epoch,
            sessions: self.ledger.sessions() as u64,
            position: self.own_log.last(),
            announcing: self.ledger.announcements() as u64,
            failover: self.failover(),
            peers: self.peers(&instant),
            transfer: self.repair.scan.as_ref().map(|scan| Transfer {
                donor: self.group.name_of(scan.donor.node),
                records: scan.records,
                percent: scan.percent(),
            }),
            audit,
            reading: self.repair.last_whole.map(|last| TableReading {
                donor: self.group.name_of(last.donor.node),
                at: instant(last.ended),
                took: Duration::from_millis(last.ended - last.began),
                records: last.records,
                taken: last.taken,
            }),
            namesake: self.group.namesake(self.now),
        }
    }

    /// The other nodes, ours before stock ones.
    fn peers(&self, instant: impl Fn(u64) -> Instant) -> Vec<Peer> {
        let nodes = self.group.nodes.iter().filter(|node| !node.is_renumbered);
        let mut peers: Vec<Peer> = nodes.map(|node| self.peer(node, &instant)).collect();
        peers.sort_unstable_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
        let now = instant(self.now);
        let stock = self.group.stock.list().into_iter().map(|peer| {
            let heard = instant(peer.heard);
            Peer {
                present: now.saturating_duration_since(heard) < STOCK_PRESENT,
                datagrams: peer.datagrams,
                records: peer.records,
                rejected: peer.rejected,
                ..Peer::stock(peer.address, heard)
            }
        });
        peers.extend(stock);
        peers
    }

    fn peer(&self, node: &Node, instant: impl Fn(u64) -> Instant) -> Peer {
        let hello = &node.hello;
        let log = self.group.logs.of(node.key);
        let differences = Difference::ALL.into_iter().zip(node.drift);
        Peer {
            kind: Kind::Joold,
            node: node.key.node,
            name: display_name(&hello.name, node.key.node),
            address: node.address,
            present: node.present,
            state: shown_state(node),
            fitness: Some(node.fitness()),
            jool: version(hello.jool),
            daemon: version(hello.daemon),
            record_length: hello.record_length,
            sessions: hello.sessions.into(),
            behind: node.behind,
            lag: Duration::from_millis(node.lag.into()),
            missing: log.map_or(0, |log| log.missing.len()),
            drift: differences
                .filter_map(|(what, differs)| differs.then_some(what))
                .collect(),
            hears_us: !node.is_deaf(self.now),
            shares_name: node.shares_name,
            verified: node.verified.map(|verified| Verified {
                count: verified.count,
                at: instant(verified.at),
                sessions: verified.sessions,
                differed: verified.differed,
            }),
            datagrams: node.datagrams,
            records: node.records,
            rejected: node.rejected,
            heard: instant(node.heard),
        }
    }

    /// What a verdict is made of.
    pub(crate) fn facts(&self) -> Facts {
        let ours = (self.ledger.sessions() as u64, self.group.own.node);
        let jool = self.local.jool.as_ref().filter(|_| self.local.is_attached);
        let mut facts = Facts {
            has_jool: jool.is_some(),
            is_paused: jool.is_some_and(|jool| jool.is_paused),
            has_read: self.join.has_read_jool(),
            has_pool4: jool.is_some_and(|jool| !jool.pool4.is_empty()),
            has_joined: self.join.has_joined(),
            is_alone: self.group.nodes.is_alone(),
            lag: self.group.logs.lag(self.now),
            was_apart: self.local.is_emptied || self.group.logs.is_apart(),
            is_loading: self.ledger.injections() > ONE_RUN,
            is_incomplete: self.is_incomplete(),
            has_namesake: self.group.has_namesake(self.now),
            worked_at: self.local.worked_at,
            had_sessions: self.local.had_sessions,
            ..Facts::default()
        };
        let was_empty = self.join.has_read_jool() && !self.local.had_sessions;
        for node in self.group.nodes.all_present() {
            let fitness = node.fitness();
            let theirs = (node.hello.sessions.into(), node.key.node);
            facts.other_might |= fitness.rank() > 0;
            facts.was_emptied |= was_empty && theirs.0 > 0;
            facts.was_apart |= node.is_apart && theirs.0 > ours.0;
            if self.unacceptable(node).is_some() {
                // Who could not translate anyway is no reason to leave off.
                facts.differs |= !fitness.cannot_translate();
                continue;
            }
            let is_fit = fitness.rank() > 1;
            facts.other_is_fit |= is_fit;
            facts.other_is_better |= is_fit && theirs > ours;
        }
        facts
    }

    /// A setting of another node that makes a takeover wrong.
    fn unacceptable(&self, node: &Node) -> Option<Difference> {
        let accepted = &self.judge.policy.accepted;
        let mut differences = Difference::ALL.into_iter().zip(node.drift);
        let found = differences.find(|(what, differs)| *differs && !accepted.contains(what));
        found.map(|(what, _)| what)
    }

    /// Why the verdict is what it is.
    pub(crate) fn fitness_reason(&self) -> String {
        let fitness = self.judge.verdict();
        match fitness {
            Fitness::Serving if !self.join.has_joined() => {
                "its daemon has just started, and its Jool went on meanwhile".to_owned()
            }
            Fitness::Held if self.judge.policy.failback == Failback::Manual => {
                "it is ready, and holds back while another node is fit, since \"failback\" is \
                 \"manual\"; `jooldctl undrain` takes the traffic back"
                    .to_owned()
            }
            Fitness::Behind | Fitness::Incomplete => {
                let reasons = self.reasons().join("; ");
                if reasons.is_empty() {
                    "it lacks what the other nodes have told".to_owned()
                } else {
                    reasons
                }
            }
            Fitness::Differs => self.difference(),
            _ => fitness.reason().to_owned(),
        }
    }

    /// Which setting of whom makes a takeover wrong.
    fn difference(&self) -> String {
        let mut found = self.group.nodes.all_present().filter_map(|node| {
            let what = self.unacceptable(node)?;
            let name = display_name(&node.hello.name, node.key.node);
            Some(format!("{} of {name} is not as here", what.name()))
        });
        found.next().unwrap_or_else(|| "settings differ".to_owned())
    }

    /// Who could take over now.
    pub(crate) fn failover(&self) -> Result<Vec<Successor>, String> {
        match self.state() {
            State::Waiting => return Err("this node has no Jool".to_owned()),
            State::Joining => return Err("this node has not told yet what its Jool has".to_owned()),
            _ if self.audit.lacks() => {
                return Err("this node has not found yet what its Jool dropped".to_owned());
            }
            _ => {}
        }
        let mut successors = Vec::new();
        let mut nearly = None;
        for node in self.group.nodes.all_present() {
            let name = display_name(&node.hello.name, node.key.node);
            match self.stands_back(node) {
                None => successors.push((
                    !node.fitness().is_fit(),
                    node.lag,
                    Successor {
                        name,
                        lag: Duration::from_millis(node.lag.into()),
                    },
                )),
                Some(reason) => nearly = nearly.or(Some(format!("{name} {reason}"))),
            }
        }
        if !successors.is_empty() {
            successors.sort_by(|(held, lag, one), (other_held, other_lag, other)| {
                (held, lag, &one.name).cmp(&(other_held, other_lag, &other.name))
            });
            return Ok(successors.into_iter().map(|(_, _, who)| who).collect());
        }
        Err(nearly.unwrap_or_else(|| {
            if self.group.stock.list().is_empty() {
                "no other node is there".to_owned()
            } else {
                "the other nodes run the stock daemon, which does not tell what it has".to_owned()
            }
        }))
    }

    /// Why another node would not take over with every session of this one; `None`: it would.
    fn stands_back(&self, node: &Node) -> Option<String> {
        if node.clone(self.now).is_some() || self.group.has_namesake(self.now) {
            return Some("is not the only one that says that it is the node that it is".to_owned());
        }
        if let Some(what) = self.unacceptable(node) {
            return Some(format!("has another {} than this node", what.name()));
        }
        if node.is_deaf(self.now) {
            return Some("does not hear this node".to_owned());
        }
        match node.fitness() {
            Fitness::Idle | Fitness::Alone | Fitness::Waiting => {
                return Some("does not hear this node".to_owned());
            }
            fitness if !fitness.is_ready() => {
                return Some(format!("is not fit: {}", fitness.words()));
            }
            _ => {}
        }
        match shown_state(node) {
            Some(State::Synced) if node.lag < SAFE_LAG => None,
            Some(State::Synced) => Some(format!("is {} records behind", node.behind)),
            Some(state) => Some(format!("is {state}")),
            None => Some("is of a later version".to_owned()),
        }
    }
}

/// What another node is about. What a datagram took is there again before anybody could fail over.
fn shown_state(node: &Node) -> Option<State> {
    let state = node.state();
    let was_synced = node.synced_at != 0 && node.heard < node.synced_at + PASSING;
    if state == Some(State::Degraded) && was_synced {
        return Some(State::Synced);
    }
    state
}

fn version(number: u32) -> String {
    match number.to_be_bytes() {
        [0, 0, 0, 0] => String::new(),
        [major, minor, revision, _] => format!("{major}.{minor}.{revision}"),
    }
}
