//! Whether the kernel takes this host for a member of a group.
//!
//! A socket that joined goes on believing so when the interface's protocol was torn down and set up again
//! (an MTU below 1,280, `disable_ipv6`, `ip maddr del`), and nothing tells when the kernel does not any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fs, io};

/// Whether the group is joined on the interface of that index; 0: on any.
///
/// # Errors
///
/// The kernel does not tell.
pub(super) fn is_member(group: IpAddr, index: u32) -> io::Result<bool> {
    Ok(match group {
        IpAddr::V4(group) => is_in_igmp(
            &fs::read_to_string("/proc/thread-self/net/igmp")?,
            group,
            index,
        ),
        IpAddr::V6(group) => is_in_igmp6(
            &fs::read_to_string("/proc/thread-self/net/igmp6")?,
            group,
            index,
        ),
    })
}

/// `2    eth0            ff150000000000000000000000006a6f     1 00000004 0`
fn is_in_igmp6(table: &str, group: Ipv6Addr, index: u32) -> bool {
    let group = format!("{:032x}", u128::from(group));
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        let on = words.next().and_then(|word| word.parse().ok());
        words.nth(1) == Some(&*group) && (index == 0 || on == Some(index))
    })
}

/// A line that begins with the index for each interface, and below it a line that begins with a blank and the
/// group, in the host's order, for each group.
fn is_in_igmp(table: &str, group: Ipv4Addr, index: u32) -> bool {
    let group = format!("{:08X}", u32::from_ne_bytes(group.octets()));
    let mut on = None;
    table.lines().any(|line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            on = first.parse().ok();
        }
        line.starts_with(char::is_whitespace) && first == group && (index == 0 || on == Some(index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_group_is_found_on_its_interface() {
        let table = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n\
                     2    eth0            ff150000000000000000000000006a6f     1 00000004 0\n\
                     12   eth1            ff020000000000000000000000000001     1 0000000C 0\n";
        let group = "ff15::6a6f".parse().unwrap();
        assert!(is_in_igmp6(table, group, 2) && is_in_igmp6(table, group, 0));
        assert!(!is_in_igmp6(table, group, 1) && !is_in_igmp6(table, group, 12));
        assert!(!is_in_igmp6(table, "ff15::1".parse().unwrap(), 0));
        assert!(!is_in_igmp6("", group, 0) && !is_in_igmp6("2 eth0", group, 2));
    }

    #[test]
    fn an_ipv4_group_is_found_on_its_interface() {
        let number = u32::from_ne_bytes([233, 252, 0, 64]);
        let table = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t{:08X}     1 0:00000000\t\t0\n\
             2\teth0      :     2      V3\n\t\t\t\t{number:08X}     1 0:00000000\t\t0\n",
            u32::from_ne_bytes([224, 0, 0, 1])
        );
        let group = Ipv4Addr::new(233, 252, 0, 64);
        assert!(is_in_igmp(&table, group, 2) && is_in_igmp(&table, group, 0));
        assert!(!is_in_igmp(&table, group, 1));
        assert!(!is_in_igmp(&table, Ipv4Addr::new(233, 252, 0, 65), 0));
        assert!(!is_in_igmp("", group, 0));
    }

    #[test]
    fn the_kernel_tells() {
        // Every host is one.
        assert!(is_member(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)), 0).unwrap());
        assert!(!is_member(IpAddr::V4(Ipv4Addr::new(233, 252, 0, 63)), 0).unwrap());
    }
}
