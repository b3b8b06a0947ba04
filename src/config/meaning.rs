//! What a good configuration means, and what about it is good and hardly meant.

use std::fmt;

use super::Config;
use crate::net::Interface;
use crate::seal::Policy;

/// A configuration in words: where it listens, where it sends to, whose sessions.
#[derive(Debug)]
pub struct Meaning<'a>(pub(super) &'a Config);

impl fmt::Display for Meaning<'_> {
    /// Some lines, each with a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(config) = self;
        let network = &config.network;
        writeln!(f, "  listens on  {}", network.listen_address())?;
        if let Some(group) = network.group {
            writeln!(
                f,
                "  group       {group}, received {}, sent {}, hop limit {}",
                over(network.receive_interface.as_ref()),
                over(network.send_interface.as_ref()),
                network.hop_limit
            )?;
        }
        for peer in &network.peers {
            writeln!(f, "  peer        {peer}")?;
        }
        writeln!(f, "  cluster     {:?}", config.cluster())?;
        let jool = &config.jool;
        let manages = if jool.manage { "kept" } else { "left alone" };
        writeln!(
            f,
            "  Jool        instance {:?}, its settings are {manages}",
            jool.instance
        )?;
        if let Some(statistics) = config.statistics {
            writeln!(f, "  statistics  {statistics}")?;
        }
        if let Some(gate) = &config.gate {
            writeln!(f, "  gate        {gate} is up while this node is fit")?;
        }
        if config.seal != Policy::Off {
            let sealed = match config.seal {
                Policy::Off | Policy::Accept => "frames leave open, open and sealed ones are taken",
                Policy::Send => "frames leave sealed, open and sealed ones are taken",
                Policy::Require => "frames leave sealed, and only sealed ones are taken",
            };
            writeln!(f, "  seal        {sealed}")?;
        }
        Ok(())
    }
}

fn over(interface: Option<&Interface>) -> String {
    interface.map_or_else(
        || "on the interface of the kernel's choice".to_owned(),
        |interface| format!("on {interface}"),
    )
}

impl Config {
    /// Whose sessions are synchronised.
    pub fn cluster(&self) -> &str {
        self.cluster_name.as_ref().unwrap_or(&self.jool.instance)
    }

    /// What it means, for who wrote it.
    pub fn meaning(&self) -> Meaning<'_> {
        Meaning(self)
    }

    /// What is accepted, and hardly meant: a sentence each.
    pub fn cautions(&self) -> Vec<String> {
        let mut cautions = Vec::new();
        let network = &self.network;
        let Some(group) = network.group else {
            return cautions;
        };
        if network.hop_limit == 0 {
            cautions.push("\"ttl\" is 0, so no datagram to the group leaves this host".to_owned());
        }
        let of_all_hosts = ["224.0.0.1", "ff02::1", "ff01::1"];
        if of_all_hosts.contains(&&*group.ip().to_string()) {
            cautions.push(format!(
                "the group {} is that of all hosts: whoever is on the link hears the sessions",
                group.ip()
            ));
        }
        cautions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_and_hardly_meant_is_told() {
        let mut config = Config::default();
        assert!(config.cautions().is_empty());
        config.network.hop_limit = 0;
        config.network.group = Some("224.0.0.1:6400".parse().unwrap());
        let cautions = config.cautions().join("\n");
        assert!(
            cautions.contains("\"ttl\" is 0") && cautions.contains("224.0.0.1"),
            "{cautions}"
        );
        config.network.group = None;
        assert!(
            config.cautions().is_empty(),
            "peers have the system's hop limit"
        );
    }

    #[test]
    fn a_configuration_is_told_in_words() {
        let mut config = Config::default();
        config.network.send_interface = Some(Interface::Name("eth0".to_owned()));
        config.network.peers = vec!["192.0.2.7:6400".parse().unwrap()];
        let meaning = config.meaning().to_string();
        for part in [
            "  group       [ff15::6a6f:6f6c]:6400, received on the interface of the kernel's choice, sent on \
             eth0, hop limit 1\n",
            "  peer        192.0.2.7:6400\n",
            "  Jool        instance \"default\", its settings are kept\n",
        ] {
            assert!(meaning.contains(part), "{meaning}");
        }
    }
}
