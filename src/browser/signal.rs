//! What a running browser tells the fleet without being asked.

use crate::types::{BrowserId, TabId};

/// Something happened to a browser or one of its tabs that the fleet did not do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSignal {
    /// The browser.
    pub browser: BrowserId,
    /// What happened.
    pub kind: BrowserSignalKind,
}

/// What happened. Nothing is signalled for what [`RunningBrowser::close_tab`](super::RunningBrowser::close_tab) and
/// [`RunningBrowser::close`](super::RunningBrowser::close) bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserSignalKind {
    /// The tab's renderer process died; the tab itself is still to be closed.
    TabCrashed {
        /// The tab.
        tab: TabId,
        /// How, as the browser says it.
        message: String,
    },
    /// Somebody closed the tab; it needs no closing.
    TabClosed {
        /// The tab.
        tab: TabId,
    },
    /// The tab went to another page; it is still to be closed.
    TabNavigated {
        /// The tab.
        tab: TabId,
        /// Where it went.
        url: String,
    },
    /// The browser process ended, and all its tabs with it. The last signal of a browser.
    Exited {
        /// The exit status, or how the end was noticed.
        status: String,
        /// The last lines it wrote.
        last_words: String,
    },
    /// The driver process ended, or the connection to the browser did; the browser can no longer be driven. The last
    /// signal of a browser.
    DriverExited {
        /// How.
        message: String,
    },
}
