//! The ways in which a fleet can be broken on purpose.

use super::names;

/// A way to break something that a fleet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureMode {
    /// The process that renders a tab is killed.
    TabCrash,
    /// The main process of a browser is killed.
    BrowserKill,
    /// The main process of a browser is stopped: it lives, and does nothing.
    Hang,
    /// The process that holds the GPU devices of a browser is killed.
    GpuCrash,
    /// The WebDriver process of a browser is killed.
    DriverKill,
    /// The WebSocket of a tab is cut.
    SocketCut,
    /// The process that renders a tab gets no more memory.
    Oom,
    /// The process that renders a tab runs a tenth of the time only.
    Slow,
    /// A tab is given a model that never ends.
    Endless,
}
names!(FailureMode {
    TabCrash = "tab-crash",
    BrowserKill = "browser-kill",
    Hang = "hang",
    GpuCrash = "gpu-crash",
    DriverKill = "driver-kill",
    SocketCut = "socket-cut",
    Oom = "oom",
    Slow = "slow",
    Endless = "endless",
});
