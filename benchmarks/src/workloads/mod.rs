//! The workloads, a file each.

mod accept;
mod children;
mod clients;
mod echo;
mod files;
mod foreign;
mod http;
mod interest;
mod memory;
mod overshoot;
mod pairs;
mod ping_pong;
mod registration;
mod signals;
mod sockets;
mod timers;
mod waking;
mod watching;

pub(crate) use overshoot::overshoots;
pub(crate) use waking::round_trips;

use crate::measure::Effort;
use crate::row::Row;

/// In the order of the table. A full pass has more sizes of some.
pub(crate) fn all(effort: &Effort, descriptors: usize) -> Vec<Row> {
    [
        ping_pong::rows(),
        echo::rows(effort, descriptors),
        interest::rows(),
        registration::rows(),
        accept::rows(),
        waking::rows(),
        timers::rows(effort),
        overshoot::rows(),
        watching::rows(),
        signals::rows(),
        children::rows(),
        files::rows(),
        http::rows(),
        memory::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
