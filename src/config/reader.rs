//! From files to keys: which file may hold which, and what each says of a key; and the problems
//! that are found on the way, in their order.

use serde_json::Value;

use super::keys::{self, Key};
use super::problem::{Problem, Problems};
use super::{Document, Input, json, value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Network,
    Instance,
    CommandLine,
}

/// Where something stands, in the order in which problems are told: source, then entry.
pub(super) type Place = (Source, usize);

/// What the sources say of a key.
pub(super) enum Given<T> {
    Absent,
    /// Given, but not usable; or unknown, because the file is not readable. Nothing can be
    /// concluded from it.
    Bad,
    Good(T, Place),
}

impl<T> Given<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Given::Absent)
    }

    pub(super) fn into_value(self) -> Option<T> {
        match self {
            Given::Good(value, _) => Some(value),
            _ => None,
        }
    }
}

/// Unknown keys of a file that are told of one by one.
const MOST_STRANGE: usize = 20;

struct Entry {
    place: Place,
    key: &'static Key,
    value: Value,
}

#[derive(Default)]
pub(super) struct Reader {
    /// The entries with a known key, each key once.
    entries: Vec<Entry>,
    /// By [`Source`].
    names: [String; 3],
    /// Whether the first file's keys are not known, because it could not be read.
    unreadable: bool,
    findings: Vec<(Place, Problem)>,
}

impl Reader {
    pub(super) fn new(input: &Input) -> Self {
        let name = |document: &Option<Document>| {
            document
                .as_ref()
                .map_or_else(String::new, |document| document.name.clone())
        };
        let mut reader = Reader {
            names: [
                name(&input.network),
                name(&input.instance),
                "command line".to_owned(),
            ],
            ..Reader::default()
        };
        for (source, document) in [
            (Source::Network, &input.network),
            (Source::Instance, &input.instance),
        ] {
            if let Some(document) = document {
                reader.add(source, document);
            }
        }
        reader
    }

    /// Takes the entries of a file, as far as their keys are known and belong there.
    fn add(&mut self, source: Source, document: &Document) {
        let entries = match &document.content {
            Ok(bytes) => json::entries(bytes),
            Err(reason) => Err(reason.clone()),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(message) => {
                self.unreadable |= source == Source::Network;
                self.find((source, 0), None, message);
                return;
            }
        };
        let mut strange = 0;
        let last = (source, entries.len());
        for (number, (name, value)) in entries.into_iter().enumerate() {
            let place = (source, number);
            let Some(key) = keys::named(&name) else {
                strange += 1;
                if strange <= MOST_STRANGE {
                    let message = unknown(&name, source);
                    self.find(place, Some(&name), message);
                }
                continue;
            };
            if source == Source::Instance && key.name != keys::INSTANCE.name {
                let file = match self.name(Source::Network) {
                    "" => "the first file".to_owned(),
                    name => format!("the first file, {name}"),
                };
                let message = format!(
                    "this key belongs in {file}; accepted here: {:?}",
                    keys::INSTANCE.name
                );
                self.find(place, Some(key.name), message);
                continue;
            }
            match self.entries.iter().find(|entry| entry.key == key) {
                Some(entry) if entry.place.0 == source => {
                    let message = "the key was already given; keep it once".to_owned();
                    self.find(place, Some(key.name), message);
                }
                Some(entry) => {
                    let message = format!(
                        "the key is given in {}, too; keep it in one of the two files",
                        self.name(entry.place.0)
                    );
                    self.find(place, Some(key.name), message);
                }
                None => self.entries.push(Entry { place, key, value }),
            }
        }
        if strange > MOST_STRANGE {
            let message = format!(
                "and {} more keys that are not known",
                strange - MOST_STRANGE
            );
            self.find(last, None, message);
        }
    }

    fn name(&self, source: Source) -> &str {
        let [network, instance, command_line] = &self.names;
        match source {
            Source::Network => network,
            Source::Instance => instance,
            Source::CommandLine => command_line,
        }
    }

    /// Notes a problem.
    pub(super) fn find(&mut self, place: Place, key: Option<&str>, message: String) {
        let problem = Problem {
            file: self.name(place.0).to_owned(),
            key: key.map(value::shortened),
            message,
        };
        self.findings.push((place, problem));
    }

    /// Where a key was given.
    pub(super) fn place(&self, key: &Key) -> Option<Place> {
        let entry = self.entries.iter().find(|entry| entry.key.name == key.name);
        entry.map(|entry| entry.place)
    }

    /// What the files say of a key, and a problem if that is not acceptable.
    pub(super) fn read<T>(
        &mut self,
        key: &Key,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Given<T> {
        let Some(entry) = self.entries.iter().find(|entry| entry.key.name == key.name) else {
            return if self.unreadable {
                Given::Bad
            } else {
                Given::Absent
            };
        };
        let place = entry.place;
        match check(&entry.value) {
            Ok(value) => Given::Good(value, place),
            Err(reason) => {
                self.refuse(place, key, &reason);
                Given::Bad
            }
        }
    }

    /// [`Reader::read`], with the default where there is no acceptable value.
    pub(super) fn value_or<T>(
        &mut self,
        default: T,
        key: &Key,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        self.read(key, check).into_value().unwrap_or(default)
    }

    /// Notes that the value of a key is not acceptable.
    pub(super) fn refuse(&mut self, place: Place, key: &Key, reason: &str) {
        let message = format!("{reason}; accepted: {}", key.accepts);
        self.find(place, Some(key.name), message);
    }

    /// The problems that were found, in their order.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        self.findings.sort_by_key(|(place, _)| *place);
        let problems: Vec<Problem> = self.findings.into_iter().map(|(_, found)| found).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }
}

fn unknown(name: &str, source: Source) -> String {
    let instance = keys::INSTANCE.name;
    match keys::nearest(name) {
        Some(key) if source != Source::Instance || key.name == instance => {
            format!("unknown key; did you mean {:?}?", key.name)
        }
        _ if source == Source::Instance => {
            format!("unknown key; accepted in this file: {instance:?}")
        }
        _ => "unknown key; `jooldctl check --help` lists the known ones".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Lookups, parse};
    use super::*;

    fn document(name: &str, text: &str) -> Option<Document> {
        Some(Document {
            name: name.into(),
            content: Ok(text.into()),
        })
    }

    fn one_file(text: &str) -> Input {
        Input {
            network: document("a.json", text),
            ..Input::default()
        }
    }

    fn two_files(network: &str, instance: &str) -> Input {
        Input {
            instance: document("b.json", instance),
            ..one_file(network)
        }
    }

    fn read(input: &Input) -> Result<Config, Problems> {
        let lookups = Lookups {
            interface: &|_| Ok(()),
            service: &|_| Ok(None),
        };
        parse(input, &lookups)
    }

    fn refused(input: &Input) -> Vec<String> {
        let problems = read(input).expect_err("it was accepted");
        problems.0.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        assert_eq!(
            refused(&one_file(r#"{ "multicast adress": 1, "comment": 2 }"#)),
            [
                "a.json: \"multicast adress\": unknown key; did you mean \"multicast address\"?",
                "a.json: \"comment\": unknown key; `jooldctl check --help` lists the known ones",
            ]
        );
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused_even_with_the_same_value() {
        assert_eq!(
            refused(&one_file(r#"{ "ttl": 1, "reuseaddr": 1, "ttl": 1 }"#)),
            ["a.json: \"ttl\": the key was already given; keep it once"]
        );
    }

    #[test]
    fn the_second_file_sets_the_instance_and_nothing_else() {
        let input = two_files("{}", r#"{ "instance": "nat64" }"#);
        assert_eq!(read(&input).unwrap().jool.instance, "nat64");
        let input = two_files(
            "{}",
            r#"{ "ttl": 1, "peers": [], "instanse": "x", "tll": 1, "x": 1 }"#,
        );
        assert_eq!(
            refused(&input),
            [
                "b.json: \"ttl\": this key belongs in the first file, a.json; accepted here: \
                 \"instance\"",
                "b.json: \"peers\": this key belongs in the first file, a.json; accepted here: \
                 \"instance\"",
                "b.json: \"instanse\": unknown key; did you mean \"instance\"?",
                "b.json: \"tll\": unknown key; accepted in this file: \"instance\"",
                "b.json: \"x\": unknown key; accepted in this file: \"instance\"",
            ]
        );
    }

    #[test]
    fn an_instance_in_both_files_is_refused() {
        let instance = r#"{ "instance": "nat64" }"#;
        assert_eq!(
            refused(&two_files(instance, instance)),
            [
                "b.json: \"instance\": the key is given in a.json, too; keep it in one of the two \
              files"
            ]
        );
    }

    #[test]
    fn a_broken_file_hides_its_keys_and_nothing_else() {
        let input = Input {
            interface: Some("192.0.2.1".into()),
            ..two_files("{ \"ttl\" }", r#"{ "instance": 1 }"#)
        };
        let problems = refused(&input);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("a.json: line 1, column 9: this is not JSON"));
        assert!(problems[1].starts_with("b.json: \"instance\": the number 1 is of the wrong type"));
    }

    #[test]
    fn a_broken_second_file_hides_nothing_of_the_first() {
        let problems = refused(&two_files(r#"{ "in interface": "192.0.2.1" }"#, "[]"));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("a.json: \"in interface\": the interface 192.0.2.1 is IPv4")
        );
        assert!(problems[1].starts_with("b.json: the file holds an array"));
    }
}
