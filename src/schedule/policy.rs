//! The scheduler's numbers, each with its default and reason.

use std::time::Duration;

/// What the scheduler decides by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Tabs kept open for each target.
    pub tabs_per_target: usize,
    /// Most jobs handed to one tab and not yet answered. Eight hide the way there and back of small models; more only
    /// wait in the tab, where they can no longer go elsewhere.
    pub in_flight_per_tab: usize,
    /// Most input bytes handed to one tab and not yet answered; one job may always go.
    pub in_flight_bytes_per_tab: usize,
    /// Jobs a tab of the preferred browser may hold before others are considered: one running, and one behind it so
    /// that the tab is never idle.
    pub preferred_depth: usize,
    /// From asking for a tab until its worker is connected.
    pub open_timeout: Duration,
    /// From the worker's connection until its backend is ready. Compiling a 28 MB WASM runtime takes seconds on a busy
    /// machine.
    pub start_timeout: Duration,
    /// From a socket's end until it is taken for the whole of what happened. A tab or browser that dies takes its sockets
    /// along, and they are often heard of first: a crash is told 25 ms later by an idle machine.
    pub cut_grace: Duration,
    /// From ending a worker until its successor is connected.
    pub restart_timeout: Duration,
    /// Failed launches, or tabs lost before they were ready, in a row, after which a browser or target is given up.
    pub give_up_after: u32,
    /// The first pause before a browser is launched again; it doubles with each failure in a row.
    pub relaunch_pause: Duration,
    /// The longest such pause.
    pub relaunch_pause_cap: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tabs_per_target: 1,
            in_flight_per_tab: 8,
            in_flight_bytes_per_tab: 64 << 20,
            preferred_depth: 2,
            open_timeout: Duration::from_secs(20),
            start_timeout: Duration::from_secs(30),
            cut_grace: Duration::from_millis(150),
            restart_timeout: Duration::from_secs(5),
            give_up_after: 3,
            relaunch_pause: Duration::from_millis(100),
            relaunch_pause_cap: Duration::from_secs(10),
        }
    }
}
