//! CAP009: the capture point lies inside a NAT: private clients speak to public servers, who see another address.
//!
//! RFC 1918 section 3 and RFC 6598 section 7: such addresses are not routed on the Internet, so that something behind
//! this point replaces them. RFC 5737 and RFC 3849 keep ranges for documentation; they count as public.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::limits::{at_point, cannot_be_told};
use super::{Case, Confidence, Exhibit, Rule, Severity, Verdict, number};
use crate::connection::{Connection, Opened};
use crate::language::{Text, pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "CAP009", name: "capture-inside-nat", explanation: pages!("capture_inside_nat"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for point in 0..u16::try_from(case.evidence.points.len()).unwrap_or(u16::MAX) {
        // Where nothing fails nobody asks what the server sees.
        let failed = |c: &Connection<'_>| {
            c.point() == point && matches!(c.opened(), Opened::Unanswered | Opened::Challenged) && is_translated(*c)
        };
        let mut picked: Vec<Connection<'_>> = case.evidence.notable().filter(failed).collect();
        if picked.is_empty() {
            continue;
        }
        picked.sort_unstable_by_key(|connection| connection.first().0);
        let clients: BTreeSet<IpAddr> = picked.iter().map(|c| c.client().ip).collect();
        let servers: BTreeSet<IpAddr> = picked.iter().map(|c| c.server().ip).collect();
        let mut finding = at_point(&RULE, Severity::Info, Confidence::Medium, point);
        finding.title = say!(
            "{clients} with private addresses ask {servers}: unless a private route leads there, this point lies inside a NAT",
            clients = plural(clients.len() as u64, "client"),
            servers = plural(servers.len() as u64, "public server")
        );
        finding.summary = say!(
            "{attempts} from private addresses to public servers went unanswered. Unless a private route leads there (a VPN, a laboratory), the addresses are replaced between this point and the servers, which see those of the NAT, together with all others behind it. What they remember of that address is not in this capture.",
            attempts = plural(picked.len() as u64, "attempt")
        );
        finding.metric("attempts", number(picked.len() as u64));
        finding.metric("clients", number(clients.len() as u64));
        finding.metric("servers", number(servers.len() as u64));
        let one = |c: &Connection<'_>| {
            case.exhibit(
                point,
                c.first().0,
                c.first().1,
                say!(
                    "{client} to {server} unanswered, the address is replaced on the way",
                    client = c.client(),
                    server = c.server()
                ),
            )
        };
        finding.exhibit_all(picked.iter().map(one).collect::<Vec<Exhibit>>());
        cannot_be_told(
            &mut finding,
            &[
                (Text::value("SYN001"), say!("what closes of other clients behind the NAT taught the server")),
                (Text::value("SYN003"), say!("which address and port the server's filter saw")),
                (
                    Text::value("TW001 SYN008"),
                    say!("whether the NAT gave a port again whose pair was in TIME-WAIT at the server"),
                ),
                (Text::value("TW003"), say!("how many ports of its address the NAT has in use")),
            ],
        );
        finding.advise(say!("Record outside the NAT, or at the server, at the same time, and hand over both files: the same SYNs are then found in both."));
        finding.references = vec!["RFC 1918 section 3".to_owned(), "RFC 6598 section 7".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}

fn is_translated(connection: Connection<'_>) -> bool {
    is_private(connection.client().ip) && is_public(connection.server().ip)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || is_shared(v4),
        // RFC 4193: unique local.
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// RFC 6598: between carriers and their customers.
fn is_shared(v4: Ipv4Addr) -> bool {
    let [first, second, ..] = v4.octets();
    first == 100 && second & 0xc0 == 64
}

fn is_public(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            // RFC 2544 section C.2.2: laboratories route these without a NAT.
            let benchmark = first == 198 && second & 0xfe == 18;
            v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() || first == 0 || benchmark
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    };
    !(is_private(address) || special || address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_routed_are_replaced() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for private in ["10.1.2.3", "172.31.0.1", "192.168.7.7", "100.64.0.1", "fd00::1"] {
            assert!(is_private(ip(private)) && !is_public(ip(private)), "{private}");
        }
        for public in ["198.51.100.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert!(!is_private(ip(public)) && is_public(ip(public)), "{public}");
        }
        for neither in ["127.0.0.1", "198.19.0.1", "169.254.1.1", "224.0.0.1", "::1", "fe80::1"] {
            assert!(!is_private(ip(neither)) && !is_public(ip(neither)), "{neither}");
        }
    }
}
