//! Real browsers: the catalogue, launching, opening and closing tabs, noticing death.
//!
//! [`launch`] starts what the [`Catalogue`] finds and returns a [`RunningBrowser`], the one narrow interface to
//! Chromium over CDP and to Firefox, WebKit and remote endpoints over WebDriver. What the fleet did not do itself
//! (a crash, a closed tab, an end) comes as a [`BrowserSignal`]. Whatever a launch starts or writes is put under a
//! guard process, which ends and removes it even when the fleet is killed.

mod catalogue;
mod cdp;
mod display;
mod drivers;
mod error;
mod find;
mod gpu;
mod guard;
mod identity;
mod launch;
mod memory;
mod process;
mod process_tree;
mod recipe;
mod signal;
mod webdriver;

pub use catalogue::Catalogue;
pub use error::BrowserError;
pub use find::{DriverKind, Found, Overrides};
pub use gpu::GpuMode;
pub(crate) use guard::Guard;
pub use launch::{LaunchOptions, launch};
pub use memory::tree_memory;
pub use signal::{BrowserSignal, BrowserSignalKind};

use crate::types::{BrowserId, Identity, TabId};
use async_trait::async_trait;

/// What became of a question that is asked only to hear an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// It was answered.
    Answered,
    /// It was not asked, so nothing is known: it would have had to wait for another command (of which a WebDriver
    /// session does one at a time, and whose own answer or time-out tells as much), or would have disturbed others.
    NotAsked,
}

/// A browser that runs and can be driven. Dropping it ends it, too, but does not wait for the end.
#[async_trait]
pub trait RunningBrowser: Send + Sync {
    /// Its name in this fleet.
    fn id(&self) -> BrowserId;

    /// What it says it is.
    fn identity(&self) -> &Identity;

    /// Whether it was launched for the machine's GPU or for a software adapter; never `Auto`.
    fn gpu(&self) -> GpuMode;

    /// The browser's main process; `None` for a remote one.
    fn process_id(&self) -> Option<u32>;

    /// Opens `url` in a new tab, which is called `tab` from now on. Chromium opens several at once.
    ///
    /// # Errors
    /// [`BrowserError::Tab`] when the page cannot be loaded, [`BrowserError::Hung`], [`BrowserError::Exited`] or
    /// [`BrowserError::DriverGone`] when the browser cannot be driven any more.
    async fn open_tab(&self, tab: TabId, url: &str) -> Result<(), BrowserError>;

    /// Ends the tab's worker and starts a new one: `window.tabfleet.restart()` in the page.
    ///
    /// # Errors
    /// As [`open_tab`](Self::open_tab), and [`BrowserError::NoSuchTab`].
    async fn restart_worker(&self, tab: TabId) -> Result<(), BrowserError>;

    /// Asks the browser's own process, not its driver alone, for something that it can always answer at once.
    ///
    /// # Errors
    /// [`BrowserError::Hung`] when it does not answer within [`LaunchOptions::command_timeout`],
    /// [`BrowserError::Exited`] or [`BrowserError::DriverGone`] when it cannot be asked any more.
    async fn heartbeat(&self) -> Result<Heartbeat, BrowserError>;

    /// Asks the main thread of the tab's page, which answers whatever its worker is doing. Over WebDriver it is never
    /// asked: the tab would have to be shown, and a page that hangs would make every other command wait with it.
    ///
    /// # Errors
    /// As [`heartbeat`](Self::heartbeat), [`BrowserError::NoSuchTab`], and [`BrowserError::Tab`] when the page does not
    /// answer in time or has no `window.tabfleet`.
    async fn tab_heartbeat(&self, tab: TabId) -> Result<Heartbeat, BrowserError>;

    /// Closes the tab, even one that hangs or has crashed.
    ///
    /// # Errors
    /// As [`open_tab`](Self::open_tab), and [`BrowserError::NoSuchTab`].
    async fn close_tab(&self, tab: TabId) -> Result<(), BrowserError>;

    /// Ends the browser: politely, and after a short while by force. Returns when no process and no profile folder is
    /// left. May be called again.
    async fn close(&self);
}
