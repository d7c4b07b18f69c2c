//! Folders of collectors: one moment of one host spread over many folders, its network namespaces in some of them.
//!
//! sos (`sos_commands/PLUGIN/COMMAND`, copies of `/proc`, `/etc` and `/var/log`, `namespaces/NAME/` and
//! `ip_netns_exec_NAME_COMMAND`; sos/report/plugins/networking.py), and trees that copy `/proc` and `/etc` likewise.

use std::collections::BTreeSet;

/// What stands between the root of a bundle and the folder of a namespace.
const NAMESPACE: &str = "/netns ";

/// Folders that hold a whole bundle each: what contains `sos_commands`, or a copy of `/proc` or `/etc`.
pub(super) fn roots<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    names.filter_map(|name| root(&slashes(name)).map(str::to_owned)).collect()
}

/// The folder that a file counts as lying in, where it belongs to a bundle.
pub(super) fn folder(roots: &BTreeSet<String>, name: &str) -> Option<String> {
    let name = slashes(name);
    // The innermost bundle that holds the file.
    let inside =
        |root: &&String| root.is_empty() || name.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let root = roots.iter().filter(inside).max_by_key(|root| root.len())?;
    Some(match in_namespace(&name) {
        Some(namespace) => format!("{root}{NAMESPACE}{namespace}"),
        None => root.clone(),
    })
}

/// The namespace that a folder made by [`folder`] stands for.
pub(super) fn namespace(folder: &str) -> Option<&str> {
    folder.rsplit_once(NAMESPACE).map(|(_, namespace)| namespace)
}

/// The machine whose bundle it is: `web1` of `sosreport-web1-1234567-2026-11-22-abcdefg`.
pub(super) fn machine(folder: &str) -> &str {
    let root = folder.rsplit_once(NAMESPACE).map_or(folder, |(root, _)| root);
    let name = root.rsplit(['/', '!']).next().unwrap_or(root);
    let Some(rest) = name.strip_prefix("sosreport-") else { return name };
    // Behind the host's name come an optional case number, the date, and a random word.
    let end = rest
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| rest.get(at.saturating_add(1)..).is_some_and(|tail| tail.starts_with(|c: char| c.is_ascii_digit())));
    end.and_then(|end| rest.get(..end)).unwrap_or(rest)
}

/// What stands before the folders of a collector.
fn root(name: &str) -> Option<&str> {
    for mark in ["sos_commands/", "proc/net/", "proc/sys/", "var/log/", "etc/sysctl"] {
        let starts = name.match_indices(mark).map(|(at, _)| at);
        for at in starts {
            let head = name.get(..at)?;
            if head.is_empty() {
                return Some("");
            }
            // A copy of the file system, not the file system itself.
            if let Some(root) = head.strip_suffix('/').filter(|root| !root.is_empty()) {
                return Some(root);
            }
        }
    }
    None
}

/// `…/namespaces/blue/…`, `…/ip_netns_exec_blue_ss_-peaonmi`.
fn in_namespace(name: &str) -> Option<&str> {
    if let Some((_, rest)) = name.split_once("/namespaces/") {
        return rest.split('/').next().filter(|namespace| !namespace.is_empty() && rest.contains('/'));
    }
    let file = name.rsplit('/').next()?;
    let rest = file.strip_prefix("ip_netns_exec_")?;
    // A namespace may have underscores: the tool ends its name.
    let tools = ["_ss_", "_netstat_", "_ip_", "_nstat_", "_ethtool_", "_sysctl_", "_iptables", "_nft_", "_conntrack_"];
    tools
        .iter()
        .filter_map(|tool| rest.split_once(tool))
        .map(|(namespace, _)| namespace)
        .min_by_key(|found| found.len())
}

/// Members of archives lie in their archive.
fn slashes(name: &str) -> String {
    name.replace(['\\', '!'], "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOS: &str = "case/a.tar.xz!sosreport-web1-0123-2026-11-22-abcdefg";

    fn placed(file: &str) -> Option<String> {
        let names = [format!("{SOS}/sos_commands/networking/ss_-peaonmi")];
        folder(&roots(names.iter().map(String::as_str)), file)
    }

    #[test]
    fn files_of_a_sosreport_are_one_moment_and_its_namespaces_are_apart() {
        let root = SOS.replace('!', "/");
        for file in ["proc/net/snmp", "sos_commands/kernel/sysctl_-a", "uptime", "var/log/messages"] {
            assert_eq!(placed(&format!("{SOS}/{file}")), Some(root.clone()), "{file}");
        }
        for file in ["namespaces/blue_1/ip_netns_exec_blue_1_ss_-peaonmi", "ip_netns_exec_blue_1_netstat_-s"] {
            let folder = placed(&format!("{SOS}/sos_commands/networking/{file}")).unwrap();
            assert_eq!(namespace(&folder), Some("blue_1"), "{file}");
            assert_eq!(machine(&folder), "web1");
        }
        assert_eq!(placed("other/ss-tan.txt"), None);
    }

    #[test]
    fn a_path_of_the_machine_itself_is_no_bundle() {
        assert_eq!(root("/proc/net/tcp"), None);
        assert_eq!(root("host1/proc/net/tcp"), Some("host1"));
    }
}
