//! How a daemon looks in a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::properties::{age, counter, list, number, span, text, thousands, truth};
use super::terminal::{BAD, DOUBTFUL, GOOD, Style};
use super::{keys, peers};

/// Columns of a bar.
const BAR: u64 = 20;

/// Counters of what did not get where it was to go, and what each is called here.
const DROPS: &[(&str, &str)] = &[
    ("jool-overflows", "overflows of the socket from Jool"),
    ("jool-dropped", "records dropped by Jool's own queue"),
    ("jool-malformed", "messages from Jool not understood"),
    ("jool-failures", "failures to read from Jool"),
    ("add-refusals", "refusals by Jool to take records"),
    (
        "acknowledge-refusals",
        "refusals by Jool of an acknowledgement",
    ),
    ("inexpressible", "records that need a pool6 of /96"),
    ("no-jool", "datagrams without a Jool"),
    ("malformed-frames", "datagrams that make no sense"),
    (
        "foreign-versions",
        "datagrams of another version of the protocol",
    ),
    ("foreign-clusters", "datagrams of another cluster"),
    ("open-refused", "open frames refused"),
    ("unknown-keys", "frames sealed with an unknown key"),
    ("forged-frames", "sealed frames with a wrong tag"),
    ("replayed-frames", "sealed frames repeated"),
    ("malformed-seals", "sealed frames that make no sense"),
    (
        "unsealed-frames",
        "frames not sealed for want of random numbers",
    ),
    ("too-long", "datagrams too long"),
    ("strangers", "datagrams from strangers"),
    ("elsewhere", "datagrams over another interface"),
    ("receive-errors", "errors while receiving"),
];

/// How a state is painted.
pub(super) fn colour_of(state: &str) -> &'static str {
    match state {
        "synced" => GOOD,
        "degraded" => BAD,
        _ => DOUBTFUL,
    }
}

/// The two questions of three in the morning, answered: may this node take over, and who has
/// everything should it die.
fn answers(properties: &Map<String, Json>) -> (String, &'static str) {
    let (fit, mut colour) = if truth(properties, "Fit") {
        ("fit to take over".to_owned(), GOOD)
    } else {
        let reason = text(properties, "FitnessReason");
        (format!("NOT fit to take over: {reason}"), BAD)
    };
    let failover = if truth(properties, "FailoverSafe") {
        format!("if it dies, {} has everything", successors(properties))
    } else {
        colour = BAD;
        let reason = text(properties, "FailoverReason");
        format!("if it dies, NOBODY has everything: {reason}")
    };
    (format!("{fit}; {failover}"), colour)
}

/// The names of those who have everything, and how far behind each is, the best first.
fn successors(properties: &Map<String, Json>) -> String {
    let successors = properties.get("Successors").and_then(Json::as_array);
    let successors = successors.map(Vec::as_slice).unwrap_or_default();
    let names = successors.iter().filter_map(|who| {
        let (name, lag) = (who.get(0)?.as_str()?, who.get(1)?.as_u64()?);
        Some(match lag {
            0 => name.to_owned(),
            lag => format!("{name} ({} behind)", span(lag)),
        })
    });
    names.collect::<Vec<_>>().join(", then ")
}

/// The counters of drops that are not zero, in words; the reasons of rejected records among them.
fn drops(properties: &Map<String, Json>) -> Vec<String> {
    let mut lines: Vec<String> = DROPS
        .iter()
        .map(|(name, words)| (counter(properties, name), *words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{} {words}", thousands(count)))
        .collect();
    let counters = properties.get("Counters").and_then(Json::as_object);
    for (name, count) in counters.into_iter().flatten() {
        let count = count.as_u64().unwrap_or(0);
        let words = if let Some(reason) = name.strip_prefix("received-rejected-") {
            format!("records refused ({reason})")
        } else if let Some(reason) = name.strip_prefix("local-rejected-") {
            format!("records from Jool not understood ({reason})")
        } else if let Some(reason) = name.strip_prefix("unsent-") {
            format!("datagrams not sent ({})", reason.replace('-', " "))
        } else {
            continue;
        };
        if count > 0 {
            lines.push(format!("{} {words}", thousands(count)));
        }
    }
    lines
}

/// Lines of a name and a value.
struct Rows<'a> {
    style: &'a Style,
    text: String,
}

impl Rows<'_> {
    fn row(&mut self, name: &str, value: &str) {
        self.painted(name, "", value);
    }

    fn painted(&mut self, name: &str, code: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let mut name = format!("{name:>10}:");
        for line in self.style.fold(12, value) {
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "{name} {}", self.style.paint(code, &line));
            name = " ".repeat(11);
        }
    }
}

/// One daemon: whether its node may take over and who could, how it stands, its peers, and the rest.
pub(super) fn status(properties: &Map<String, Json>, style: &Style, now: u64) -> String {
    let state = text(properties, "State");
    let mut out = title(properties, style);
    let mut rows = Rows {
        style,
        text: String::new(),
    };
    let mut standing = format!("{state} for {}", age(now, number(properties, "StateSince")));
    if state == "synced" {
        standing += ": nothing that the other nodes have is missing here";
    }
    rows.painted("Fitness", "", &fitness(properties, now));
    rows.painted("State", colour_of(state), &standing);
    rows.row("Reason", text(properties, "StateReason"));
    rows.row("Transfer", &transfer(properties));
    let namesake = text(properties, "Namesake");
    if !namesake.is_empty() {
        let warning = format!(
            "{namesake} says that it is this very node, so neither hears the other; set another \
             \"node name\" in one of the two"
        );
        rows.painted("Namesake", BAD, &warning);
    }
    out += &rows.text;
    let peers = properties.get("Peers").unwrap_or(&Json::Null);
    let _ = write!(out, "\n{}\n", peers::table(peers, style, now));
    rows.text.clear();
    details(properties, &mut rows, now);
    out + &rows.text
}

/// The verdict on this node and since when it stands; its reason where the first line does not say it.
fn fitness(properties: &Map<String, Json>, now: u64) -> String {
    let fitness = text(properties, "Fitness");
    if fitness.is_empty() {
        return String::new();
    }
    let since = age(now, number(properties, "FitnessSince"));
    match (truth(properties, "Fit"), text(properties, "FitnessReason")) {
        (true, reason) => format!("fit for {since}: {reason}"),
        (false, _) => format!("not fit for {since} ({fitness})"),
    }
}

fn title(properties: &Map<String, Json>, style: &Style) -> String {
    let dot = match text(properties, "State") {
        "waiting" | "" => "○",
        _ => "●",
    };
    let (answers, colour) = answers(properties);
    let name = format!("joold@{}:", text(properties, "Name"));
    let lines = style.fold(2, &format!("{name} {answers}"));
    let lines: Vec<String> = lines.iter().map(|line| style.paint(colour, line)).collect();
    format!("{} {}\n", style.paint(colour, dot), lines.join("\n  "))
}

/// One daemon that has nothing to say, for this reason.
pub(super) fn absent(reason: &str, style: &Style) -> String {
    let lines = style.fold(2, reason);
    let lines: Vec<String> = lines.iter().map(|line| style.paint(BAD, line)).collect();
    format!("{} {}\n", style.paint(BAD, "○"), lines.join("\n  "))
}

/// What is on its way from another node.
fn transfer(properties: &Map<String, Json>) -> String {
    let Some(transfer) = properties.get("Transfer").and_then(Json::as_object) else {
        return String::new();
    };
    if transfer.is_empty() {
        return String::new();
    }
    let percent = number(transfer, "Percent").min(100);
    let filled = percent * BAR / 100;
    let bar = |columns: u64, sign: &str| sign.repeat(usize::try_from(columns).unwrap_or(0));
    format!(
        "{}{} {percent} %, {} records from {}",
        bar(filled, "█"),
        bar(BAR - filled, "░"),
        thousands(number(transfer, "Records")),
        text(transfer, "Donor")
    )
}

fn details(properties: &Map<String, Json>, rows: &mut Rows<'_>, now: u64) {
    rows.row(
        "Node",
        &format!(
            "{}, id {}, of cluster \"{}\", joold {}",
            text(properties, "NodeName"),
            text(properties, "NodeId"),
            text(properties, "ClusterName"),
            text(properties, "Version")
        ),
    );
    let instance = text(properties, "Instance");
    match text(properties, "JoolVersion") {
        "" => rows.row("Jool", &format!("instance \"{instance}\", not there")),
        version => rows.row(
            "Jool",
            &format!(
                "{version}, instance \"{instance}\", pool6 {}, {}-byte records",
                text(properties, "Pool6"),
                text(properties, "RecordFormat")
            ),
        ),
    }
    let mut sessions = format!(
        "{} in Jool, {} known here",
        thousands(number(properties, "Sessions")),
        thousands(number(properties, "KnownSessions"))
    );
    let announcing = number(properties, "Announcing");
    if announcing > 0 {
        sessions += &format!(", {} wait to be announced", thousands(announcing));
    }
    rows.row("Sessions", &sessions);
    rows.row("Compared", &audit(properties, now));
    let count = |name| thousands(counter(properties, name));
    let lost = counter(properties, "lost-records");
    let gaps = match (counter(properties, "repaired-records"), lost) {
        (0, 0) => "none".to_owned(),
        (repaired, 0) => format!("{} records repaired, none lost", thousands(repaired)),
        (repaired, lost) => format!(
            "{} records repaired, {} lost for good",
            thousands(repaired),
            thousands(lost)
        ),
    };
    rows.painted("Gaps", if lost > 0 { BAD } else { "" }, &gaps);
    rows.row(
        "Sent",
        &format!(
            "{} records ({} more on request), {} datagrams",
            count("sent-records"),
            count("replayed-records"),
            count("sent-datagrams")
        ),
    );
    rows.row(
        "Received",
        &format!(
            "{} records ({} more on request), {} datagrams",
            count("received-records"),
            count("recovered-records"),
            count("received-datagrams")
        ),
    );
    dropped(properties, rows, now);
    rows.row("Listens", &listens(properties));
    rows.row("Sends to", &destinations(properties));
    let (seal, colour) = keys::standing(properties);
    rows.painted("Seal", colour, &seal);
    if text(properties, "LastError") != text(properties, "StateReason") {
        let error = match (
            text(properties, "LastError"),
            number(properties, "LastErrorTime"),
        ) {
            ("", _) => String::new(),
            (error, 0) => error.to_owned(),
            (error, then) => format!("{} ago: {error}", age(now, then)),
        };
        rows.row("Last error", &error);
    }
    for problem in list(properties, "OutletProblems") {
        rows.painted("Outlet", BAD, &problem);
    }
    let files = list(properties, "ConfigurationFiles").join(", ");
    let files = if files.is_empty() { "defaults" } else { &files };
    let loaded = age(now, number(properties, "ConfigurationLoaded"));
    rows.row("Settings", &format!("{files}, read {loaded} ago"));
    let pending = list(properties, "ConfigurationPending");
    if !pending.is_empty() {
        let keys: Vec<_> = pending.iter().map(|key| format!("{key:?}")).collect();
        let pending = format!("{}: with the next restart", keys.join(", "));
        rows.painted("Pending", DOUBTFUL, &pending);
    }
    for problem in list(properties, "ConfigurationProblems") {
        rows.painted("Problem", BAD, &problem);
    }
}

/// What was dropped, and when the last of it was.
fn dropped(properties: &Map<String, Json>, rows: &mut Rows<'_>, now: u64) {
    let drops = drops(properties).join(", ");
    match (&drops[..], number(properties, "LastDropTime")) {
        ("", _) => rows.row("Dropped", "nothing"),
        (_, 0) => rows.painted("Dropped", BAD, &drops),
        (_, last) => {
            let ago = age(now, last);
            rows.painted("Dropped", BAD, &format!("{drops}; the last {ago} ago"));
        }
    }
}

/// The last comparison of tables.
fn audit(properties: &Map<String, Json>, now: u64) -> String {
    match properties.get("LastAudit").and_then(Json::as_object) {
        Some(audit) if !audit.is_empty() => format!(
            "{} ago, in {}: {}",
            age(now, number(audit, "Ended")),
            span(number(audit, "Took")),
            findings(audit)
        ),
        _ => "not yet".to_owned(),
    }
}

/// What a comparison of tables found.
pub(super) fn findings(audit: &Map<String, Json>) -> String {
    format!(
        "{} sessions in Jool, {} announced, {} given to it",
        thousands(number(audit, "Sessions")),
        thousands(number(audit, "Announced")),
        thousands(number(audit, "Injected"))
    )
}

fn on(address: &str, interface: &str) -> String {
    match interface {
        "" => address.to_owned(),
        interface => format!("{address} on {interface}"),
    }
}

fn listens(properties: &Map<String, Json>) -> String {
    let interface = text(properties, "ReceiveInterface");
    on(text(properties, "LocalAddress"), interface)
}

fn destinations(properties: &Map<String, Json>) -> String {
    let mut all = list(properties, "ConfiguredPeers");
    let group = text(properties, "Group");
    if !group.is_empty() {
        all.insert(0, on(group, text(properties, "SendInterface")));
    }
    all.join(", ")
}

/// What every counter gained per second since the last look, which was so long ago; nothing at the first look.
pub(super) fn rates(
    properties: &Map<String, Json>,
    before: Option<&Map<String, Json>>,
    elapsed: Duration,
) -> Map<String, Json> {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let Some(before) = before else {
        return Map::new();
    };
    let counters = properties.get("Counters").and_then(Json::as_object);
    let rate = |(name, count): (&String, &Json)| {
        let count = count.as_u64().unwrap_or(0);
        let then = counter(before, name);
        let gained = count.saturating_sub(then);
        (name.clone(), json!((gained * 1000 + millis / 2) / millis))
    };
    counters.into_iter().flatten().map(rate).collect()
}

/// One daemon with its rates, in a few lines.
pub(super) fn live(
    properties: &Map<String, Json>,
    rates: &Map<String, Json>,
    style: &Style,
    now: u64,
) -> String {
    let mut out = title(properties, style);
    let rate = |name: &str| {
        let rate = rates.get(name).and_then(Json::as_u64);
        rate.map_or("-".to_owned(), thousands)
    };
    let total = |name: &str| thousands(counter(properties, name));
    let state = text(properties, "State");
    let mut rows = Rows {
        style,
        text: String::new(),
    };
    let mut standing = format!("{state} for {}", age(now, number(properties, "StateSince")));
    if !matches!(text(properties, "StateReason"), "") {
        standing += &format!(": {}", text(properties, "StateReason"));
    }
    rows.painted("State", colour_of(state), &standing);
    rows.row("Transfer", &transfer(properties));
    rows.row(
        "Sessions",
        &format!(
            "{} in Jool, {} known here",
            thousands(number(properties, "Sessions")),
            thousands(number(properties, "KnownSessions"))
        ),
    );
    let line = |records: &str, rest: String| format!("{:>9} records/s{rest}", rate(records));
    let datagrams = |name: &str| format!(" in {} datagrams/s", rate(name));
    let coalesced = format!(", {} of them told nothing new", rate("coalesced"));
    out += &rows.text;
    // Not folded, as the columns would go.
    for (name, value) in [
        ("From Jool", line("local-records", coalesced)),
        ("Sent", line("sent-records", datagrams("sent-datagrams"))),
        (
            "Received",
            line("received-records", datagrams("received-datagrams")),
        ),
        ("To Jool", line("injected-records", String::new())),
        (
            "Gaps",
            format!(
                "{:>9} records/s repaired; {} in all, {} lost for good",
                rate("repaired-records"),
                total("repaired-records"),
                total("lost-records")
            ),
        ),
    ] {
        let _ = writeln!(out, "{name:>10}: {value}");
    }
    rows.text.clear();
    dropped(properties, &mut rows, now);
    out += &rows.text;
    let peers = properties.get("Peers").unwrap_or(&Json::Null);
    let _ = write!(out, "\n{}", peers::table(peers, style, now));
    out
}

#[cfg(test)]
mod tests {
    use super::super::terminal::WIDTH;
    use super::*;

    const PLAIN: Style = Style {
        terminal: false,
        colour: false,
        columns: WIDTH,
        lines: usize::MAX,
    };
    const TERMINAL: Style = Style {
        terminal: true,
        ..PLAIN
    };
    /// The moment that the pictures are of.
    const NOW: u64 = 60_000_000;

    fn properties() -> Map<String, Json> {
        let json = r#"{
            "Name": "eth0", "Version": "0.1.0", "State": "synced", "StateSince": 0,
            "FailoverSafe": true, "FailoverTo": "nat64-b", "FailoverReason": "",
            "Successors": [["nat64-b", 20000]], "Fit": true, "Fitness": "synced",
            "FitnessReason": "it has every session that the other nodes have", "FitnessSince": 0,
            "NodeName": "nat64-a", "ClusterName": "default", "NodeId": "0123456789abcdef", "Namesake": "",
            "JoolVersion": "4.1.13", "Instance": "default", "Pool6": "64:ff9b::/96",
            "RecordFormat": "40", "Sessions": 41233, "KnownSessions": 41230, "Announcing": 3,
            "Transfer": {}, "LocalAddress": "[ff15::6a6f:6f6c]:6400",
            "LastAudit": { "Ended": 50000000, "Took": 35400, "Sessions": 41000,
                           "Announced": 12, "Injected": 1 },
            "ReceiveInterface": "eth0", "Group": "[ff15::6a6f:6f6c]:6400",
            "SendInterface": "eth0", "Seal": "off", "ConfigurationFiles": [], "ConfigurationLoaded": 0,
            "Peers": [{ "Kind": "joold", "Name": "nat64-b", "Address": "[fe80::1]:6400",
                        "Present": true, "State": "synced", "Version": "0.1.0",
                        "Fit": true, "Fitness": "synced", "FitnessWords": "synced",
                        "JoolVersion": "4.1.9", "RecordFormat": "52", "Sessions": 41229,
                        "Behind": 3, "Lag": 20000, "Missing": 0, "Drift": [],
                        "Verifications": 2, "LastVerified": 30000000,
                        "VerifiedSessions": 41000, "DifferingSessions": 2, "Datagrams": 7,
                        "Records": 12345, "Rejected": 0, "LastHeard": 58000000 },
                      { "Kind": "stock", "Name": "192.0.2.7", "Address": "192.0.2.7:6400",
                        "Present": true, "State": "", "Version": "", "JoolVersion": "",
                        "RecordFormat": "", "Sessions": 0, "Behind": 0, "Lag": 0, "Missing": 0,
                        "Drift": [], "Datagrams": 1, "Records": 10, "Rejected": 2,
                        "LastHeard": 20000000 }],
            "Counters": { "sent-records": 1000, "sent-datagrams": 40, "strangers": 0,
                          "replayed-records": 17, "repaired-records": 12, "lost-records": 0,
                          "received-records": 12345, "received-datagrams": 7 }
        }"#;
        serde_json::from_str(json).unwrap()
    }

    fn with(changes: &Json) -> Map<String, Json> {
        let mut properties = properties();
        properties.extend(changes.as_object().cloned().unwrap_or_default());
        properties
    }

    #[track_caller]
    fn shows(changes: &Json, parts: &[&str]) {
        let shown = status(&with(changes), &PLAIN, NOW);
        for part in parts {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn the_status_begins_with_whether_this_node_may_take_over_and_who_could() {
        assert_eq!(
            status(&properties(), &PLAIN, NOW),
            "● joold@eth0: fit to take over; if it dies, nat64-b (20 ms behind) has everything\n\
             \x20  Fitness: fit for 1 min 0 s: it has every session that the other nodes have\n\
             \x20    State: synced for 1 min 0 s: nothing that the other nodes have is missing here\n\
             \n\
             \x20 PEER       FIT  STATE       SESSIONS   BEHIND      LAG  MISSING\n\
             \x20 nat64-b    yes  synced        41,229        3    20 ms        0\n\
             \x20   [fe80::1]:6400, joold 0.1.0, Jool 4.1.9, 52-byte records\n\
             \x20 192.0.2.7  -    -                  -        -        -        -\n\
             \x20   192.0.2.7:6400, the stock daemon, which does not tell what it has\n\
             \n\
             \x20     Node: nat64-a, id 0123456789abcdef, of cluster \"default\", joold 0.1.0\n\
             \x20     Jool: 4.1.13, instance \"default\", pool6 64:ff9b::/96, 40-byte records\n\
             \x20 Sessions: 41,233 in Jool, 41,230 known here, 3 wait to be announced\n\
             \x20 Compared: 10 s ago, in 35 ms: 41,000 sessions in Jool, 12 announced, 1 given to it\n\
             \x20     Gaps: 12 records repaired, none lost\n\
             \x20     Sent: 1,000 records (17 more on request), 40 datagrams\n\
             \x20 Received: 12,345 records (0 more on request), 7 datagrams\n\
             \x20  Dropped: nothing\n\
             \x20  Listens: [ff15::6a6f:6f6c]:6400 on eth0\n\
             \x20 Sends to: [ff15::6a6f:6f6c]:6400 on eth0\n\
             \x20     Seal: OPEN: whoever reaches this network can read sessions and make some up\n\
             \x20 Settings: defaults, read 1 min 0 s ago\n"
        );
    }

    #[test]
    fn what_is_wrong_stands_out() {
        shows(
            &json!({
                "State": "waiting", "StateReason": "no module", "FailoverSafe": false,
                "Fit": false, "Fitness": "no-jool", "FitnessReason": "there is no Jool here",
                "FailoverTo": "", "FailoverReason": "this node has no Jool", "JoolVersion": "",
                "OutletProblems": ["no folder"],
                "Counters": { "strangers": 1200, "received-rejected-pool4": 2,
                              "unsent-no-route": 5, "lost-records": 7 },
                "ConfigurationProblems": ["a.json: bad"], "Namesake": "[fe80::2]:6400",
                "LastAudit": {},
            }),
            &[
                "○ joold@eth0: NOT fit to take over: there is no Jool here; if it dies, NOBODY has \
                 everything: this node has no Jool\n",
                "  Fitness: not fit for 1 min 0 s (no-jool)\n",
                "   Outlet: no folder\n",
                "State: waiting for 1 min 0 s\n",
                "Reason: no module\n",
                "Namesake: [fe80::2]:6400 says that it is this very node",
                "Jool: instance \"default\", not there\n",
                "Compared: not yet\n",
                "Gaps: 0 records repaired, 7 lost for good\n",
                "Dropped: 1,200 datagrams from strangers, 2 records refused (pool4), \
                 5 datagrams not sent (no route)\n",
                "Problem: a.json: bad\n",
            ],
        );
    }

    #[test]
    fn a_join_is_shown_with_its_progress() {
        shows(
            &json!({
                "State": "joining", "StateReason": "the sessions of nat64-b are on their way",
                "Transfer": { "Donor": "nat64-b", "Records": 21_500, "Percent": 43 },
            }),
            &[
                "● joold@eth0",
                "State: joining for 1 min 0 s\n    Reason: the sessions of nat64-b are on",
                "Transfer: ████████░░░░░░░░░░░░ 43 %, 21,500 records from nat64-b\n",
            ],
        );
    }

    #[test]
    fn a_peer_that_is_gone_or_set_up_otherwise_or_has_more_than_we_is_shown_as_such() {
        let mut properties = properties();
        let mut peer = |change: Json| {
            let change = change.as_object().cloned().unwrap_or_default();
            properties["Peers"][0]
                .as_object_mut()
                .unwrap()
                .extend(change);
            status(&properties, &PLAIN, NOW)
        };
        let shown = peer(json!({ "Drift": ["pool4", "timeouts"], "Missing": 17 }));
        assert!(shown.contains("   20 ms       17\n"), "{shown}");
        let sentence = "    its Jool is not set up as ours: pool4, timeouts; make that the same\n";
        assert!(shown.contains(sentence), "{shown}");
        let shown = peer(
            json!({ "Fit": false, "Fitness": "paused", "FitnessWords": "its Jool is paused" }),
        );
        assert!(shown.contains("nat64-b    NO   synced"), "{shown}");
        assert!(
            shown.contains("    not fit to take over: its Jool is paused\n"),
            "{shown}"
        );
        let shown = peer(json!({ "Present": false }));
        let line = "nat64-b    -    gone               -        -        -       17\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.contains("    not heard for 2 s\n"), "{shown}");
    }

    #[test]
    fn what_came_from_each_peer_and_how_it_compares_is_listed_in_full() {
        let mut properties = properties();
        let shown = peers::full_table("eth0", &properties["Peers"], &PLAIN, NOW);
        let line = "  192.0.2.7                        1           10        2  40 s ago\n";
        assert!(
            shown.contains("SESSIONS") && shown.contains(line),
            "{shown}"
        );
        let end = "\n\
             \x20 COMPARED WITH             SESSIONS     DIFFERED           WHEN\n\
             \x20 nat64-b                     41,000            2           30 s ago\n";
        assert!(shown.ends_with(end), "{shown}");
        properties["Peers"][0]["LastVerified"] = json!(0);
        let shown = peers::full_table("eth0", &properties["Peers"], &PLAIN, NOW);
        assert!(shown.ends_with("  not yet\n"), "{shown}");
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        let mut properties = with(&json!({
            "FailoverSafe": false, "LastError": "sentence ".repeat(30),
            "FailoverReason": "a rather long reason that goes on and on until the line ends",
            "Counters": { "strangers": 1_000_000, "jool-overflows": 1_000_000, "elsewhere": 1 },
        }));
        properties["Peers"][0]["Name"] = json!("a-name-that-is-longer-than-the-table-has-room");
        properties["Peers"][0]["Sessions"] = json!(4_000_000);
        let rates = rates(&properties, None, Duration::from_secs(1));
        let peers = peers::full_table("eth0", &properties["Peers"], &TERMINAL, NOW);
        let live = live(&properties, &rates, &TERMINAL, NOW);
        let all = [status(&properties, &TERMINAL, NOW), peers, live].concat();
        for line in all.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(all.contains("a-name-that-is-longer…"), "{all}");
    }

    #[test]
    fn a_narrow_terminal_gets_narrow_lines() {
        let narrow = Style {
            columns: 40,
            ..TERMINAL
        };
        let properties = with(&json!({
            "FailoverSafe": false, "FailoverReason": "no other joold is heard, so no node can take over",
            "Peers": [],
        }));
        for line in status(&properties, &narrow, NOW).lines() {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn the_first_look_has_no_rates() {
        let first = rates(&properties(), None, Duration::from_secs(1));
        assert!(first.is_empty());
        let shown = live(&properties(), &first, &PLAIN, NOW);
        for part in [
            "      Sent:         - records/s in - datagrams/s\n",
            "      Gaps:         - records/s repaired; 12 in all, 0 lost for good\n",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn errors_drops_and_what_waits_for_a_restart_have_an_age_or_a_name() {
        shows(
            &json!({
                "LastError": "sending failed", "LastErrorTime": 30_000_000,
                "Counters": { "strangers": 5 }, "LastDropTime": 58_000_000,
                "ConfigurationPending": ["node name", "max sessions"],
            }),
            &[
                "Last error: 30 s ago: sending failed\n",
                "   Dropped: 5 datagrams from strangers; the last 2 s ago\n",
                "   Pending: \"node name\", \"max sessions\": with the next restart\n",
            ],
        );
    }

    #[test]
    fn sixty_columns_are_enough() {
        for columns in [40, 60, 72, 77] {
            let narrow = Style {
                columns,
                ..TERMINAL
            };
            let mut properties = with(&json!({ "LastError": "sentence ".repeat(30) }));
            properties["Peers"][0]["SharesName"] = json!(true);
            let all = [
                status(&properties, &narrow, NOW),
                peers::full_table("eth0", &properties["Peers"], &narrow, NOW),
            ];
            for line in all.concat().lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
            assert!(all.concat().contains("nat64-b"));
        }
        let narrow = Style {
            columns: 60,
            ..TERMINAL
        };
        let shown = peers::full_table("eth0", &properties()["Peers"], &narrow, NOW);
        for part in [
            "  nat64-b: fit, synced, 41,229 sessions, 3 behind (20 ms), 0\n    missing\n",
            "  192.0.2.7: there\n",
            "  nat64-b: 7 datagrams with 12,345 records came, 0 refused,\n    the last 2 s ago; compared 30 s ago:",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn rates_are_differences_to_the_look_before_per_second() {
        let before = properties();
        let mut after = before.clone();
        after.insert(
            "Counters".to_owned(),
            json!({ "sent-records": 2500, "sent-datagrams": 42, "repaired-records": 14 }),
        );
        let rates = rates(&after, Some(&before), Duration::from_secs(2));
        assert_eq!(rates["sent-records"], 750);
        let shown = live(&after, &rates, &PLAIN, NOW);
        for part in [
            "● joold@eth0: fit to take over; if it dies, nat64-b (20 ms behind) has everything\n",
            "      Sent:       750 records/s in 1 datagrams/s\n",
            "      Gaps:         1 records/s repaired; 14 in all, 0 lost for good\n",
            "  nat64-b    yes  synced        41,229        3    20 ms        0\n",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn nothing_that_a_daemon_lacks_stops_the_picture() {
        assert!(status(&Map::new(), &PLAIN, 0).contains("Nobody was heard yet."));
        assert!(peers::full_table("eth0", &Json::Null, &PLAIN, 0).contains("nobody"));
        let odd = json!([{}, 7, { "Name": "x" }]);
        assert!(peers::table(&odd, &TERMINAL, 0).contains('x'));
    }
}
