//! Which files are of one moment, and which moments of one host.
//!
//! A network namespace is a host of its own here: it has its own addresses, sockets and counters, though it shares
//! the machine's name, kernel and clock. Namespaces are told apart by the path that sos gives them
//! (`namespaces/NAME/`), by addresses that have nothing in common, and by counters: of two moments of one namespace
//! one has no counter that is smaller than in the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{HostMoment, HostView, bundle};
use crate::ingest::{Input, Kind};
use crate::snapshot::{Facts, Host};
use crate::time::{Span, Time};

/// Clocks and uptimes are read one after the other: boot times this close are one.
const SAME_BOOT: Span = Span::from_secs(5);

/// Takes the facts out of all inputs and puts them together, in the order of the hosts' first inputs.
pub(in crate::evidence) fn group(inputs: &mut [Input]) -> Vec<HostView> {
    let mut hosts: Vec<Vec<Moment>> = Vec::new();
    for moment in moments(inputs) {
        // A moment joins the host that it resembles most; it must contradict none of that host's moments.
        let fits = |host: &Vec<Moment>| {
            let likenesses = host.iter().map(|other| likeness(&moment, other)).collect::<Option<Vec<u8>>>()?;
            likenesses.into_iter().max().filter(|best| *best > 0)
        };
        let best = hosts.iter().enumerate().filter_map(|(place, host)| Some((fits(host)?, std::cmp::Reverse(place))));
        match best.max().and_then(|(_, std::cmp::Reverse(place))| hosts.get_mut(place)) {
            Some(host) => host.push(moment),
            None => hosts.push(vec![moment]),
        }
    }
    let mut views: Vec<HostView> = hosts.into_iter().map(view).collect();
    tell_apart(&mut views);
    views
}

/// Namespaces of one machine have its name: what their folders are called tells them apart.
fn tell_apart(views: &mut [HostView]) {
    let names: Vec<String> = views.iter().map(|view| view.name.clone()).collect();
    let twice = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    for (place, view) in views.iter_mut().enumerate().filter(|(_, view)| twice(&view.name)) {
        let stem = view.moments.first().map(|moment| stem(&moment.folder)).filter(|stem| !stem.is_empty());
        let address = view.addresses().into_iter().next().map(|address| address.to_string());
        let what = stem.or(address).unwrap_or_else(|| format!("{}", place.saturating_add(1)));
        view.name = format!("{} ({what})", view.name);
    }
}

/// The files of one folder.
struct Moment {
    folder: String,
    inputs: Vec<usize>,
    host: Host,
}

impl Moment {
    /// When the host came up, by its clock.
    fn boot(&self) -> Option<Time> {
        Some(self.host.moment()?.minus(self.host.uptime()?))
    }
}

fn moments(inputs: &mut [Input]) -> Vec<Moment> {
    let roots = bundle::roots(inputs.iter().map(|input| input.name.as_str()));
    let mut moments: Vec<Moment> = Vec::new();
    // Folder, and the name that a file gives the host: files of several hosts may lie in one folder.
    let mut places: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for (number, input) in inputs.iter_mut().enumerate() {
        let Kind::Snapshot(text) = &mut input.kind else { continue };
        let facts: Facts = std::mem::take(&mut text.facts);
        let folder = bundle::folder(&roots, &input.name).unwrap_or_else(|| moment_folder(&input.name));
        let name = facts.kernels.iter().find_map(|kernel| kernel.host.as_deref().map(str::to_owned));
        let place = *places.entry((folder.clone(), name)).or_insert_with(|| {
            moments.push(Moment { folder, inputs: Vec::new(), host: Host::default() });
            moments.len().saturating_sub(1)
        });
        if let Some(moment) = moments.get_mut(place) {
            moment.inputs.push(number);
            moment.host.add(facts);
        }
    }
    whole_folders(moments)
}

/// Files that name no host belong to the one host that their folder names.
fn whole_folders(moments: Vec<Moment>) -> Vec<Moment> {
    let mut by_folder: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
    for moment in moments {
        by_folder.entry(moment.folder.clone()).or_default().push(moment);
    }
    let mut whole = Vec::new();
    for (_, mut parts) in by_folder {
        let names = parts.iter().filter(|part| part.host.name().is_some()).count();
        if names <= 1 && parts.len() > 1 {
            let mut parts = parts.into_iter();
            let Some(mut all) = parts.next() else { continue };
            for part in parts {
                all.inputs.extend(part.inputs);
                all.host.add(part.host.facts);
            }
            all.inputs.sort_unstable();
            whole.push(all);
        } else {
            whole.append(&mut parts);
        }
    }
    whole.sort_by_key(|moment| moment.inputs.first().copied());
    whole
}

/// How surely two moments are of one host: `None` where they cannot be, 0 where nothing says so.
fn likeness(one: &Moment, other: &Moment) -> Option<u8> {
    if one.folder == other.folder {
        // Parts of one folder were kept apart because they name different hosts.
        return None;
    }
    let names = own_name(one).zip(own_name(other));
    if names.as_ref().is_some_and(|(one, other)| one != other)
        || bundle::namespace(&one.folder) != bundle::namespace(&other.folder)
    {
        return None;
    }
    let interfaces = |moment: &Moment| -> Vec<std::net::IpAddr> {
        let own = moment.host.facts.addresses.iter().filter(|own| !is_inner(&own.interface)).map(|own| own.address);
        own.filter(|address| !address.is_loopback() && !is_link_local(*address)).collect()
    };
    let (own, others) = (interfaces(one), interfaces(other));
    if !own.is_empty() && !others.is_empty() {
        return own.iter().any(|address| others.contains(address)).then_some(3);
    }
    if names.is_some() {
        return same_namespace(one, other).then_some(4);
    }
    if let (Some(boot), Some(other_boot)) = (one.boot(), other.boot()) {
        let apart = Span(boot.since(other_boot).0.saturating_abs());
        if apart <= SAME_BOOT {
            // Namespaces of one machine come up with it.
            return same_namespace(one, other).then_some(2);
        }
    }
    if let (Some(kernel), Some(other_kernel)) = (one.host.kernel(), other.host.kernel())
        && kernel.release != other_kernel.release
    {
        return None;
    }
    Some(u8::from(are_moments_by_name(&one.folder, &other.folder)))
}

/// Whether two moments of one machine are of one of its namespaces, as far as anything tells.
fn same_namespace(one: &Moment, other: &Moment) -> bool {
    let used = |moment: &Moment| -> BTreeSet<std::net::IpAddr> {
        moment.host.addresses().into_iter().filter(|address| !is_link_local(*address)).collect()
    };
    let (own, others) = (used(one), used(other));
    if !own.is_empty() && !others.is_empty() {
        return !own.is_disjoint(&others);
    }
    let alike = stem(&one.folder) == stem(&other.folder);
    alike || !says_when(base(&one.folder)) && !says_when(base(&other.folder)) && only_grew(one, other)
}

/// Whether the counters of one moment may have grown into those of the other.
fn only_grew(one: &Moment, other: &Moment) -> bool {
    let mut order = std::cmp::Ordering::Equal;
    // A restart sets all of them back to zero.
    if one.boot().zip(other.boot()).is_some_and(|(one, other)| Span(one.since(other).0.saturating_abs()) > SAME_BOOT) {
        return true;
    }
    let counters: BTreeMap<&str, u64> =
        other.host.facts.counters.iter().map(|counter| (&*counter.name, counter.value)).collect();
    for counter in one.host.facts.counters.iter().filter(|counter| !counter.name.ends_with("CurrEstab")) {
        let Some(value) = counters.get(&*counter.name) else { continue };
        match (counter.value.cmp(value), order) {
            (std::cmp::Ordering::Equal, _) => {}
            (now, std::cmp::Ordering::Equal) => order = now,
            (now, before) if now != before => return false,
            _ => {}
        }
    }
    true
}

/// What a folder's name says beside when: `snap_mid_server` is `snap server`.
fn stem(folder: &str) -> String {
    let lower = base(folder).to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let kept = words.filter(|word| !word.is_empty() && !WORDS.contains(word) && !is_number(word));
    kept.collect::<Vec<_>>().join(" ")
}

/// `3`, `t1`, `s2`, `20261122`: the number of a moment.
fn is_number(word: &str) -> bool {
    let number = word.trim_start_matches(['t', 's']);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a folder's name has a word or a number for when.
fn says_when(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word) || is_number(word))
}

/// A name that tells hosts apart: many call themselves `localhost`.
fn own_name(moment: &Moment) -> Option<std::sync::Arc<str>> {
    moment.host.name().filter(|name| !name.starts_with("localhost"))
}

/// Bridges of containers and virtual machines, whose addresses are the same on every host.
fn is_inner(interface: &str) -> bool {
    ["docker", "br-", "virbr", "cni", "veth", "podman", "lxc"].iter().any(|kind| interface.starts_with(kind))
}

fn is_link_local(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => address.is_link_local(),
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The folder of a file; where the file's own name says when it was made, a folder of that name inside.
fn moment_folder(name: &str) -> String {
    let folder = folder_of(name);
    let lower = base(name).to_ascii_lowercase();
    match lower.split(|c: char| !c.is_ascii_alphabetic()).find(|word| WORDS.contains(word)) {
        Some(word) => format!("{folder}/{word}"),
        None => folder.to_owned(),
    }
}

/// Words that say when, in names of folders and files.
const WORDS: [&str; 14] = [
    "before", "after", "mid", "middle", "during", "begin", "start", "end", "first", "last", "pre", "post", "vorher",
    "nachher",
];

/// Whether two folders lie side by side and their names say when, or one lies in the other.
fn are_moments_by_name(one: &str, other: &str) -> bool {
    let when = |folder: &str| says_when(base(folder));
    let beside = folder_of(one) == folder_of(other) && when(one) && when(other) && stem(one) == stem(other);
    let inside = |outer: &str, inner: &str| folder_of(inner) == outer && when(inner);
    beside || inside(one, other) || inside(other, one)
}

/// The moments of one host in time order, and all that they say.
fn view(mut parts: Vec<Moment>) -> HostView {
    let clocks: Vec<Option<Time>> = parts.iter().map(|part| part.host.moment()).collect();
    let uptimes: Vec<Option<Span>> = parts.iter().map(|part| part.host.uptime()).collect();
    // One measure for all of them: two would not compare.
    if clocks.iter().all(Option::is_some) {
        parts.sort_by_key(|part| part.host.moment());
    } else if uptimes.iter().all(Option::is_some) {
        parts.sort_by_key(|part| part.host.uptime());
    } else {
        let common = common_counters(&parts);
        parts.sort_by_key(|part| grown(&part.host.facts, &common));
    }
    let mut view = HostView { name: name(&parts), ..HostView::default() };
    for part in parts {
        let (at, up) = (part.host.moment(), part.host.uptime());
        view.host.add(part.host.facts);
        view.moments.push(HostMoment { folder: part.folder, inputs: part.inputs, at, up });
    }
    view
}

/// Counters that every moment tells.
fn common_counters(parts: &[Moment]) -> Vec<String> {
    let (Some(first), rest) = (parts.first(), parts.get(1..).unwrap_or(&[])) else { return Vec::new() };
    let told = |part: &Moment, name: &str| part.host.facts.counters.iter().any(|c| &*c.name == name);
    let names = first.host.facts.counters.iter().map(|counter| counter.name.to_string());
    // Gauges shrink; they are few, and the sum of all does not.
    names.filter(|name| !name.ends_with("CurrEstab") && rest.iter().all(|part| told(part, name))).collect()
}

fn grown(facts: &Facts, counters: &[String]) -> u128 {
    counters.iter().filter_map(|name| facts.counter(name)).map(|(value, _)| u128::from(value)).sum()
}

/// The host's own name, else that of the folder that holds all its moments.
fn name(parts: &[Moment]) -> String {
    let folder = parts.first().map_or("", |part| part.folder.as_str());
    if let Some(namespace) = bundle::namespace(folder) {
        let machine = bundle::machine(folder);
        return if machine.is_empty() { format!("netns {namespace}") } else { format!("{machine} netns {namespace}") };
    }
    if let Some(name) = parts.iter().find_map(|part| part.host.name()) {
        return name.to_string();
    }
    let mut common = parts.first().map_or("", |part| part.folder.as_str());
    for part in parts {
        while !common.is_empty() && part.folder != common && !part.folder.starts_with(&format!("{common}/")) {
            common = folder_of(common);
        }
    }
    let name = if common.is_empty() { parts.first().map_or("", |part| part.folder.as_str()) } else { common };
    match base(name) {
        "" | "." | ".." => "host".to_owned(),
        name => name.to_owned(),
    }
}

/// What stands before the last separator of a name; members of archives lie in their archive.
fn folder_of(name: &str) -> &str {
    name.rfind(['/', '\\', '!']).and_then(|at| name.get(..at)).unwrap_or("")
}

fn base(folder: &str) -> &str {
    folder.rsplit(['/', '\\', '!']).next().unwrap_or(folder)
}
