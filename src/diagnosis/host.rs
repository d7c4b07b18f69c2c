//! Rules about what a host says of itself, without any packet: one rule a file.
//!
//! They ask `claims.rs`. A since-boot total alone is never more than `info`; where the kernel's version decides what
//! a setting or a counter means, the rule looks at it, and where it is not told, it says what holds on either side.

pub(super) mod application_aborts;
pub(super) mod attempts_fail;
pub(super) mod conntrack_full;
pub(super) mod conntrack_near_full;
pub(super) mod conntrack_time_wait_share;
pub(super) mod conntrack_unreplied;
pub(super) mod cpu_steal;
pub(super) mod embryonic_resets;
pub(super) mod fin_timeout_lowered;
pub(super) mod interface_errors;
pub(super) mod listen_drops_other;
pub(super) mod netstat_cost;
pub(super) mod orphans_near_limit;
pub(super) mod paws_active_drops;
pub(super) mod paws_estab_drops;
pub(super) mod resets_sent;
pub(super) mod socket_backlog_drops;
pub(super) mod softirq_on_one_cpu;
pub(super) mod softnet_drops;
pub(super) mod softnet_squeezed;
pub(super) mod syn_cookies_in_use;
pub(super) mod syn_cookies_invalid;
pub(super) mod syn_queue_full;
pub(super) mod syn_retransmits;
pub(super) mod syn_sent_pile;
pub(super) mod tcp_memory_pressure;
pub(super) mod time_wait_harmless;
pub(super) mod time_wait_memory;
pub(super) mod time_wait_paws_drops;
pub(super) mod tw_recycle_drops;
pub(super) mod tw_recycle_on;
pub(super) mod tw_recycle_setting_dead;
pub(super) mod tw_reuse_off;
pub(super) mod tw_reuse_without_timestamps;
