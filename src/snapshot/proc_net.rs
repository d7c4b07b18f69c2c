//! The files of `/proc/net`: sockets, counters, memory of sockets, the backlog of each CPU, the connection tracker.
//!
//! One file here reads one file of the kernel; `nf_conntrack` is read with the listings of `conntrack`.

pub mod counters;
pub mod dev;
pub mod snmp6;
pub mod sockstat;
pub mod softnet;
pub mod stat_conntrack;
pub mod tcp;
