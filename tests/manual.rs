//! The manual pages and the completions are made of the command lines and of the configuration's
//! keys, and committed. `JOOLD_WRITE=1 cargo test --test manual` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use joold::command_line::{Joold, Jooldctl};
use joold::config::{KEYS, Key};

const MANUAL: &str = "Jool session synchronisation";

fn page(title: &str, section: &str, body: &str) -> String {
    let mut roff = Roff::new();
    let version = concat!("joold ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [title, section, "", version, MANUAL]);
    format!(
        ".\\\" Written by tests/manual.rs; do not edit.\n{}{body}",
        roff.render()
    )
}

/// Sections of a page: a heading with `# ` before it, paragraphs with an empty line between them,
/// and in a list `term: text`, where the term begins with a `- `.
fn sections(text: &str) -> String {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n").map(str::trim) {
        let text = paragraph.replace('\n', " ");
        if let Some(heading) = text.strip_prefix("# ") {
            roff.control("SH", [heading]);
        } else if let Some(item) = text.strip_prefix("- ") {
            let (term, text) = item.split_once(": ").unwrap();
            roff.control("TP", []);
            roff.text([bold(term)]);
            roff.text([roman(text)]);
        } else {
            roff.control("PP", []);
            roff.text([roman(text)]);
        }
    }
    roff.to_roff()
}

/// The name, the synopsis, the description and the options of a program.
fn program(command: &Command) -> String {
    let man = Man::new(command.clone());
    let mut out = Vec::new();
    man.render_name_section(&mut out).unwrap();
    man.render_synopsis_section(&mut out).unwrap();
    man.render_description_section(&mut out).unwrap();
    man.render_options_section(&mut out).unwrap();
    without_preamble(&String::from_utf8(out).unwrap())
}

/// Each part that is rendered alone begins with definitions; a page needs them once, and the title
/// has them. Some lines end with a blank.
fn without_preamble(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "))
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// Every subcommand with its arguments, as subsections.
fn subcommands(command: &Command) -> String {
    let mut built = command.clone();
    built.build();
    let mut out = String::from(".SH COMMANDS\n");
    for command in built.get_subcommands() {
        if command.get_name() == "help" || command.is_hide_set() {
            continue;
        }
        // What every subcommand takes stands at the top.
        if command.has_subcommands() {
            out += subcommands(command).strip_prefix(".SH COMMANDS\n").unwrap();
            continue;
        }
        let command = command.clone().mut_args(|argument| {
            let everywhere = argument.is_global_set() || argument.get_id() == "help";
            argument.hide(everywhere)
        });
        let man = Man::new(command.clone());
        let (mut synopsis, mut options) = (Vec::new(), Vec::new());
        man.render_synopsis_section(&mut synopsis).unwrap();
        man.render_options_section(&mut options).unwrap();
        let text = |bytes| without_preamble(&String::from_utf8(bytes).unwrap());
        let mut about = Roff::new();
        about.control("PP", []);
        about.text([roman(command.get_about().unwrap().to_string())]);
        out += &text(synopsis).replace(".SH SYNOPSIS\n", ".SS ");
        out += &without_preamble(&about.to_roff());
        out += &text(options).replace(".SH OPTIONS\n", "");
    }
    out
}

fn joold() -> String {
    let body = program(&Joold::command()) + &without_preamble(&sections(JOOLD));
    page("joold", "8", &body)
}

fn jooldctl() -> String {
    let command = Jooldctl::command();
    let body = program(&command) + &subcommands(&command) + &without_preamble(&sections(JOOLDCTL));
    page("jooldctl", "8", &body)
}

fn joold_json() -> String {
    let mut keys = Roff::new();
    keys.control("SH", ["KEYS"]);
    for key in KEYS {
        let Key {
            name,
            accepts,
            default,
            meaning,
            stock,
        } = key;
        let plain = |text: &str| roman(text.replace('`', "\""));
        keys.control("TP", []);
        let mut term = vec![bold(format!("\"{name}\""))];
        if *stock {
            term.push(roman(" *"));
        }
        keys.text(term);
        keys.text([plain(meaning)]);
        keys.control("br", []);
        keys.text([italic("Takes"), roman(" "), plain(accepts), roman(".")]);
        keys.control("br", []);
        keys.text([italic("Default:"), roman(" "), plain(default), roman(".")]);
    }
    let text = [
        sections(JOOLD_JSON_BEFORE),
        keys.to_roff(),
        sections(JOOLD_JSON_AFTER),
    ];
    page("joold.json", "5", &without_preamble(&text.concat()))
}

/// A line of Markdown: what is in backquotes is bold, links are their text.
fn inline(text: &str) -> Vec<Inline> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let ends = link
            .split_once("](")
            .and_then(|(name, after)| Some((name, after.split_once(')')?.1)));
        let (name, after) = ends.unwrap_or(("[", link));
        plain += before;
        plain += name;
        rest = after;
    }
    plain += rest;
    let parts = plain.replace('*', "");
    let parts = parts.split('`').enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(index, part)| match index % 2 {
            0 => roman(part),
            _ => bold(part),
        })
        .collect()
}

/// The interface on the bus, as docs/dbus.md describes it, in sections.
fn interface() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dbus.md");
    let text = fs::read_to_string(file).unwrap();
    let mut roff = Roff::new();
    let mut lines = text.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        let is_header = lines.peek().is_some_and(|next| next.starts_with("| --- |"));
        if let Some(heading) = line.strip_prefix("## ") {
            roff.control("SH", [heading.to_uppercase().as_str()]);
        } else if let Some(heading) = line.strip_prefix("### ") {
            roff.control("SS", [heading.replace('`', "").as_str()]);
        } else if line == "```" {
            roff.control("PP", []);
            roff.control("nf", []);
            for line in lines.by_ref().take_while(|line| *line != "```") {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        } else if let Some(row) = line.strip_prefix("| ") {
            if is_header || row.starts_with("---") {
                continue;
            }
            let cells: Vec<_> = row
                .trim_end_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            let (first, rest) = cells.split_first().unwrap();
            let (last, middle) = rest.split_last().unwrap();
            let mut term = inline(first);
            for cell in middle.iter().filter(|cell| !cell.is_empty()) {
                term.push(roman(", "));
                term.extend(inline(cell));
            }
            roff.control("TP", []);
            roff.text(term);
            roff.text(inline(last));
        } else if !line.is_empty() {
            roff.control("PP", []);
            roff.text(inline(line));
        }
    }
    let text = [
        sections(INTERFACE_BEFORE),
        roff.to_roff(),
        sections(INTERFACE_AFTER),
    ];
    page("mx.jool.Joold1", "5", &without_preamble(&text.concat()))
}

fn completion(shell: Shell, mut command: Command) -> String {
    let mut out = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut out);
    let text = String::from_utf8(out).unwrap();
    // Some lines end with a blank.
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[test]
fn the_committed_manual_and_completions_are_current() {
    let mut files = vec![
        ("docs/man/joold.8".to_owned(), joold()),
        ("docs/man/jooldctl.8".to_owned(), jooldctl()),
        ("docs/man/joold.json.5".to_owned(), joold_json()),
        ("docs/man/mx.jool.Joold1.5".to_owned(), interface()),
    ];
    for command in [Joold::command(), Jooldctl::command()] {
        let name = command.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, name.clone()),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let path = format!("packaging/completions/{shell}/{file}");
            files.push((path, completion(shell, command.clone())));
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, current) in files {
        let path = top.join(path);
        if std::env::var_os("JOOLD_WRITE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, current).unwrap();
        } else {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == current,
                "{} is not current; JOOLD_WRITE=1 cargo test --test manual writes it",
                path.display()
            );
        }
    }
}

const JOOLD: &str = r#"
# CONFIGURATION

A JSON file, joold.json(5). As a service it is /etc/joold/NAME.json, and there need not be one: by
default the nodes find each other by multicast on the interface NAME.

# AS A SERVICE

joold@NAME.service runs joold for the configuration NAME, and joold@NAME.socket holds its UDP socket, so
that a restart loses no datagram. NAME is that of the interface to the other nodes, if nothing else is
configured: systemctl enable --now joold@eth0. Where a name has characters that a unit's may not have,
write \xNN for each of their bytes.

If the interface is not there, systemctl start fails, and systemd starts the service again every second
until it is. A mistake in the configuration is not tried again.

systemctl reload joold@NAME reads the configuration again, all or nothing; an address or port that
changed belongs to the socket unit, too, and is taken over there by systemctl daemon-reload and systemctl
restart joold@NAME.socket, which restarts the service with it.

A stop of the service closes the socket, too, unless that is enabled; systemctl warns all the same that
the service can still be activated. With systemctl enable joold@NAME.socket the socket is
open from boot on, and a datagram starts the service. It must be one that is sent to an address of this
node: a group is not heard before the service has joined it.

For a Jool in another network namespace, give NetworkNamespacePath= to both units: systemctl edit
joold@NAME.service joold@NAME.socket.

# KEYS

With "seal" in the configuration the nodes seal what they send, with a key that all of them have. It is in
/etc/joold/keys, a line for each key: its ID, 1 to 65535; 32 random bytes in base64; and send behind the one
that this node seals with. There may be four keys. What follows a # is a comment. Nobody but root and the
group joold may read the file, or it is refused:

install -m 0640 -g joold /dev/null /etc/joold/keys; jooldctl key generate 1 --send >> /etc/joold/keys

Copy the file to each node. A reload reads it again. The credential joold.keys is used in its place if the
service has one: LoadCredentialEncrypted=joold.keys, systemd-creds(1). Credentials do not change while a service
runs, so another one takes a restart.

From open to sealed, each step on every node before the next one, with a reload: "seal": "accept", "send",
"require". Back in the other order. Nodes with Jool's own joold cannot take part: what is sealed does not reach
them.

From one key to another: add the new one on every node; move send to it on every node; remove the old one. Before
each step jooldctl key list says whether it is safe.

# SIGNALS

- SIGTERM, SIGINT: Ends the daemon; exit status 0.

- SIGHUP: Reads the configuration again, as a reload does. The log tells how it went.

# EXIT STATUS

- 0: A signal ended it.

- 64: Wrong usage.

- 69: There was no Jool instance to work with in time ("jool wait").

- 71: An interface or address is not there, or the system refused something. The service is started again
every second until it is.

- 77: Not permitted: CAP_NET_ADMIN is needed in the initial user namespace.

- 78: The configuration is not acceptable.

# ENVIRONMENT

- JOOLD_LOG: The least level that is logged, in syslog's words, as `jooldctl log-level` takes them: emerg, alert, crit, err, warning, notice, info (the default) or debug; or syslog's number of one.

# FILES

- /etc/joold/NAME.json: The configuration of joold@NAME.service.

- /etc/joold/keys: The keys that the nodes seal what they send with.

- ./netsocket.json: The configuration without any argument, as with the stock daemon.

- /run/joold/NAME.fitness: Whether the node is fit to take over, for keepalived(8): 2 fit; 1 fit, but it
yields to another that is; 0 not fit; -1 drained. It is renewed every second, and removed when the service
is stopped. No file means not fit.

- /run/joold/NAME.drained: There while the node is drained.

- /run/joold/NAME.gate: The interface that is up while the node is fit.

- /run/joold/NAME.jool: What had to be set in Jool, and what it was before; a stop puts that back.

# SEE ALSO

jooldctl(8), joold.json(5), mx.jool.Joold1(5), jool(8), systemctl(1), journalctl(1)
"#;

const JOOLDCTL: &str = r#"
# STATUS

The first line answers what is asked first: whether this node is fit to take over, and which other nodes
have everything, but for the last second, should this one die. Then come this node's state and the other
nodes.

- waiting: There is no Jool instance to work with; nothing is translated here.

- joining: What the other nodes know is on its way here.

- synced: Nothing that the other nodes have is missing here.

- alone: As synced, but no other joold is heard, or none that has a Jool.

- degraded: Something is known to be missing. It is asked for; the reason says whether anybody can have it.

Of each other node:

- FIT: Whether it is fit to take over, as it says itself; - of a node with Jool's own daemon, which does not
tell what it has.

- STATE: Its state as it says itself; gone if it has not been heard for 1.25 seconds, or a stock node for
60.

- BEHIND: Records of this node that it had not when it last said what it has, four times a second.

- LAG: How long before that the first of them was announced. It has everything that is older.

- MISSING: Its records that are known to be missing here.

Gaps are records that were lost on the way: those that were repaired, and those that no node has any more.
Compared is the last comparison with the table of this node's own Jool.

# VERIFY

jooldctl verify has the daemon compare what it has with what every other joold has, waits until that is done,
and prints a line for each of them: how many sessions were compared, and that they agree, or how many of its
own differed or were missing here. Those have been taken from it, and the journal tells of them. The daemon
does the same by itself, with one of the others every five minutes.

Sessions that were active just before are left out, as they may be under way. It looks one way: what this node
has and another one lacks is found by jooldctl verify there.

A node that cannot be compared with is named with the reason: it runs Jool's own daemon, is gone, is not synced,
or its Jool is not set up as this one's. So is one that did not answer in time, or whose turn did not come: a
longer --timeout helps where there are millions of sessions.

The exit status tells the worst of all lines:

- 0: All of them agree.

- 1: Something differed, and has been taken.

- 2: A node could not be compared with, or no other one has ever been heard, or the daemon refused.

# KEY LIST

jooldctl key list says what leaves sealed and what is taken; of each key its ID, its fingerprint, and which nodes
have it and seal with it; and then which step is safe now, and what another one would break. It never shows a
secret. Nodes count that are there; one that is switched off has to be given the keys, too.

# EXAMPLES

- jooldctl drain --timeout 60s: Maintenance. When the traffic has moved, which takes VRRP up to 5 seconds, Jool
may be stopped; jooldctl undrain makes the node fit again.

- jooldctl -i eth0 wait --fit --timeout 30s: In a script, before this node is made the active one.

- jooldctl -i eth0 fit: For a track_script of keepalived, or Nagios.

- jooldctl -i eth0 verify: For a periodic check that this node has what the others have.

# SEE ALSO

joold(8), joold.json(5), mx.jool.Joold1(5), systemctl(1), busctl(1)
"#;

const JOOLD_JSON_BEFORE: &str = r#"
# NAME

joold.json - configuration of joold(8)

# SYNOPSIS

/etc/joold/NAME.json

# DESCRIPTION

A JSON object. Every key is optional, and so is the file. An unknown key, a key given twice or a value
that is not acceptable is refused: jooldctl check FILE says everything that is wrong with a file. The
stock joold's keys, which are marked * here, mean what they mean there; its second file may be given
apart or its key "instance" be written here.

systemd opens the UDP socket of joold@NAME.service. joold-generator, which systemd runs at boot and at
systemctl daemon-reload, tells it the address and port that /etc/joold/NAME.json means.
"#;

const JOOLD_JSON_AFTER: &str = r#"
# SEE ALSO

joold(8), jooldctl(8); sample files are in /usr/share/doc/joold/examples
"#;

const INTERFACE_BEFORE: &str = r#"
# NAME

mx.jool.Joold1 - the D-Bus interface of joold(8)

# DESCRIPTION
"#;

const INTERFACE_AFTER: &str = r#"
# SEE ALSO

joold(8), jooldctl(8), busctl(1)
"#;
