//! Who may connect: one token per tab, and at most one socket per token.

use super::{error::HarnessError, link::TabLink, message::Hello, message::TabMessage};
use crate::types::{Failure, TabId};
use rand::{
    RngExt, SeedableRng,
    rngs::{StdRng, SysRng},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot};

/// Something that happened on a tab's socket.
#[derive(Debug)]
pub struct TabSignal {
    /// The tab.
    pub tab: TabId,
    /// Which of its sockets, counted from 1: a restarted worker opens another one, and what the old one still had to say
    /// can come later than the new one's `Connected`.
    pub connection: u64,
    /// What happened.
    pub kind: TabSignalKind,
}

/// What happened on a tab's socket. Each connection ends with exactly one `Disconnected`.
#[derive(Debug)]
pub enum TabSignalKind {
    /// A worker connected and introduced itself.
    Connected {
        /// Its introduction.
        hello: Hello,
        /// Takes requests for it.
        link: TabLink,
    },
    /// The worker said something.
    Message(TabMessage),
    /// The socket is closed; the cause is `SocketClosed` or `BadFrame`.
    Disconnected(Failure),
}

/// Leave for one tab to connect. Dropping it takes the leave back and closes the tab's socket.
pub struct Invitation {
    tabs: Arc<Tabs>,
    origin: Arc<str>,
    token: String,
}

impl Invitation {
    /// The address to open in the tab. It carries the tab's secret token.
    pub fn url(&self) -> String {
        format!("{}/tab?token={}", self.origin, self.token)
    }
}

impl Invitation {
    /// Cuts the tab's socket as a broken network would, without a word to either side: for fault injection. The tab may
    /// connect again. Tells whether there was a socket.
    pub fn cut(&self) -> bool {
        let end = self.tabs.lock().invited.get_mut(&self.token).and_then(|invited| invited.end.take());
        // It fails when the connection has ended already: there is nothing left to cut.
        end.is_some_and(|end| end.send(Ending::Cut).is_ok())
    }
}

impl Drop for Invitation {
    fn drop(&mut self) {
        // Dropping the entry drops the sender its connection waits on, which is what ends the connection.
        drop(self.tabs.lock().invited.remove(&self.token));
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The invited tabs by their tokens.
pub(super) struct Tabs(Mutex<State>);

struct State {
    random: StdRng,
    invited: HashMap<String, Invited>,
}

impl State {
    fn token(&mut self) -> String {
        format!("{:032x}", self.random.random::<u128>())
    }
}

struct Invited {
    tab: TabId,
    signals: mpsc::UnboundedSender<TabSignal>,
    /// How many sockets there have been.
    connections: u64,
    /// Ends the present one.
    end: Option<oneshot::Sender<Ending>>,
}

/// Why a socket is to end.
pub(super) enum Ending {
    /// A newer socket of the same tab has come.
    Replaced,
    /// Somebody wants to see what happens when it is cut.
    Cut,
}

/// One socket's place among the tabs.
pub(super) struct Place {
    tab: TabId,
    connection: u64,
    signals: mpsc::UnboundedSender<TabSignal>,
    /// Resolves when the connection is to end; the error is that its invitation was taken back.
    pub(super) end: oneshot::Receiver<Ending>,
}

impl Tabs {
    /// No tab yet. The random numbers that tokens are made of are seeded by the system.
    pub(super) fn new() -> Result<Self, HarnessError> {
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|error| HarnessError::Randomness { what: error.to_string() })?;
        Ok(Self(Mutex::new(State { random, invited: HashMap::new() })))
    }

    pub(super) fn invite(
        self: &Arc<Self>,
        origin: Arc<str>,
        tab: TabId,
        signals: mpsc::UnboundedSender<TabSignal>,
    ) -> Invitation {
        let mut state = self.lock();
        let token = state.token();
        state.invited.insert(token.clone(), Invited { tab, signals, connections: 0, end: None });
        Invitation { tabs: self.clone(), origin, token }
    }

    /// A token of the same kind, that lets nobody connect.
    pub(super) fn new_token(&self) -> String {
        self.lock().token()
    }

    pub(super) fn is_invited(&self, token: &str) -> bool {
        self.lock().invited.contains_key(token)
    }

    /// Makes a new socket the tab's only one; `None` when there is no such token.
    pub(super) fn take_place(&self, token: &str) -> Option<Place> {
        let mut state = self.lock();
        let invited = state.invited.get_mut(token)?;
        let (sender, end) = oneshot::channel();
        if let Some(older) = invited.end.replace(sender) {
            // It fails when the older connection has ended already, which is just as well.
            let _ = older.send(Ending::Replaced);
        }
        invited.connections += 1;
        Some(Place { tab: invited.tab, connection: invited.connections, signals: invited.signals.clone(), end })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what happens on one socket to whoever invited the tab.
pub(super) struct Reporter {
    tab: TabId,
    connection: u64,
    signals: mpsc::UnboundedSender<TabSignal>,
}

impl Place {
    /// The wait for the end, and the voice to say it with.
    pub(super) fn split(self) -> (oneshot::Receiver<Ending>, Reporter) {
        let Self { tab, connection, signals, end } = self;
        (end, Reporter { tab, connection, signals })
    }
}

impl Reporter {
    pub(super) fn report(&self, kind: TabSignalKind) {
        // It fails when whoever invited the tab has stopped listening: there is nobody left to tell.
        let _ = self.signals.send(TabSignal { tab: self.tab, connection: self.connection, kind });
    }
}

impl fmt::Display for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connection {}", self.tab, self.connection)
    }
}
