//! A browser driven over WebDriver, whichever driver it is.

use super::{
    BrowserError, BrowserSignalKind, GpuMode, Heartbeat, RunningBrowser,
    display::Display,
    guard::Guard,
    identity::is_stand_in,
    launch::{Launch, Signals},
    process::{End, LastWords, Process, process_end},
};
use crate::types::{Browser, BrowserId, Identity, TabId};
use async_trait::async_trait;
use fantoccini::{
    Client, ClientBuilder,
    error::{CmdError, ErrorStatus},
    wd::{Capabilities, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value as Json, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};
use url::Url;

/// How long a browser may take to end by itself once asked; an idle Firefox takes a third of it.
const POLITE_END: Duration = Duration::from_secs(3);

/// How a browser shows several tabs at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenAs {
    /// Tabs of one window: where the catalogue's prefs keep those not looked at from being slowed down.
    Tabs,
    /// Windows: where nothing else does.
    Windows,
}

/// What was launched on this machine to drive a browser.
pub(super) struct Local {
    pub driver: Process,
    pub display: Display,
    pub guard: Arc<Guard>,
    /// How the driver names itself, with its version where it tells.
    pub driver_name: String,
}

/// A browser behind a WebDriver session.
struct Driven {
    id: BrowserId,
    identity: Identity,
    gpu: GpuMode,
    open_as: OpenAs,
    command_timeout: Duration,
    /// A session has one current window, so a command and the choice of its window are one step: the lock is held for
    /// both, and the time-out bounds how long.
    session: Mutex<Session>,
    process_id: Option<u32>,
    local: Option<Local>,
    /// How the browser or its driver ended, once they have.
    ended: watch::Receiver<Option<BrowserSignalKind>>,
    closing: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

struct Session {
    /// `None` once closed.
    client: Option<Client>,
    /// The window the session began with. It stays empty: a session ends with its last window.
    home: WindowHandle,
    windows: HashMap<TabId, WindowHandle>,
}

/// Creates a session with the driver at `endpoint`, which launches the browser.
pub(super) async fn connect(
    launch: Launch,
    endpoint: &Url,
    mut capabilities: Capabilities,
    open_as: OpenAs,
    local: Option<Local>,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let browser = launch.options.browser;
    let command_timeout = launch.options.command_timeout;
    // The driver's own limits are a little shorter, so that a page that hangs is told apart from a driver that does.
    let limit = (command_timeout.as_millis() as u64).saturating_mul(9) / 10;
    capabilities.insert("timeouts".into(), json!({ "script": limit, "pageLoad": limit }));
    capabilities.insert("pageLoadStrategy".into(), json!("eager"));
    let client = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(endpoint.as_str()).await;
    let last_words = || local.as_ref().map_or_else(String::new, |local| local.driver.last_words().text());
    let client = client.map_err(|error| BrowserError::Refused {
        browser,
        message: error.to_string(),
        last_words: last_words(),
    })?;
    let home = client.window().await.map_err(|error| BrowserError::Refused {
        browser,
        message: error.to_string(),
        last_words: last_words(),
    })?;
    let said = client.capabilities().cloned().unwrap_or_default();
    let identity = identity(&launch, &said, local.as_ref(), endpoint);

    let (ended_sender, ended) = watch::channel(None);
    let closing = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let mut process_id = None;
    if let Some(local) = &local {
        process_id = browser_process(&said, &local.driver);
        let browser_end = match process_id.map(process_end).transpose() {
            Ok(end) => end,
            Err(source) => {
                return Err(BrowserError::System { what: format!("{browser} cannot be watched"), source });
            }
        };
        let driver = &local.driver;
        let end = first_end(browser_end, driver.watch_end(), driver.has_ended(), driver.last_words().clone());
        tasks.spawn(watch_end(end, ended_sender, launch.signals.clone(), closing.clone()));
    }
    Ok(Arc::new(Driven {
        id: launch.id,
        identity,
        gpu: launch.gpu,
        open_as,
        command_timeout,
        session: Mutex::new(Session { client: Some(client), home, windows: HashMap::new() }),
        process_id,
        local,
        ended,
        closing,
        _tasks: tasks,
    }))
}

/// The browser's main process: Firefox tells it, MiniBrowser is the driver's child.
fn browser_process(said: &Capabilities, driver: &Process) -> Option<u32> {
    let told = said.get("moz:processID").and_then(Json::as_u64).and_then(|pid| u32::try_from(pid).ok());
    told.or_else(|| super::process_tree::only_child(driver.pid()))
}

/// Which of the two ended first, the browser or its driver: the end of either is soon that of the other.
async fn first_end(
    browser_end: Option<impl Future<Output = ()>>,
    driver_end: impl Future<Output = End>,
    driver_has_ended: impl Fn() -> bool,
    last_words: LastWords,
) -> BrowserSignalKind {
    let browser_end = async {
        match browser_end {
            Some(end) => end.await,
            None => std::future::pending().await,
        }
    };
    let driver_exited = |end: End| BrowserSignalKind::DriverExited {
        message: format!("the driver ended: {}\n{}", end.status, end.last_words).trim_end().to_owned(),
    };
    let mut driver_end = std::pin::pin!(driver_end);
    tokio::select! {
        end = &mut driver_end => driver_exited(end),
        () = browser_end => if driver_has_ended() {
            driver_exited(driver_end.await)
        } else {
            BrowserSignalKind::Exited {
                status: "ended (how, only its driver knows)".into(),
                last_words: last_words.text(),
            }
        },
    }
}

async fn watch_end(
    end: impl Future<Output = BrowserSignalKind>,
    ended: watch::Sender<Option<BrowserSignalKind>>,
    signals: Signals,
    closing: Arc<AtomicBool>,
) {
    let kind = end.await;
    ended.send_replace(Some(kind.clone()));
    if !closing.load(Ordering::Acquire) {
        signals.send(kind);
    }
}

fn identity(launch: &Launch, said: &Capabilities, local: Option<&Local>, endpoint: &Url) -> Identity {
    let text = |name: &str| said.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let product = match text("browserName").as_str() {
        "MiniBrowser" => "WebKitGTK MiniBrowser".to_owned(),
        name => name.to_owned(),
    };
    let version = text("browserVersion");
    let nested = |outer: &str, inner: &str| said.get(outer)?.get(inner)?.as_str()?.split(' ').next().map(str::to_owned);
    let driver = match local {
        Some(local) if launch.options.browser == Browser::Webkit => format!("{} {version}", local.driver_name),
        Some(local) => local.driver_name.clone(),
        None => [
            said.get("moz:geckodriverVersion").and_then(Json::as_str).map(|v| format!("geckodriver {v}")),
            nested("chrome", "chromedriverVersion").map(|v| format!("chromedriver {v}")),
            nested("msedge", "msedgedriverVersion").map(|v| format!("msedgedriver {v}")),
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(|| format!("webdriver at {endpoint}")),
    };
    let headless = match local {
        Some(local) if launch.options.browser == Browser::Webkit => local.display.is_private(),
        _ => said.get("moz:headless").and_then(Json::as_bool).unwrap_or(launch.options.headless),
    };
    let stand_in = is_stand_in(launch.options.browser, &product);
    Identity { browser: launch.options.browser, product, version, headless, driver, stand_in }
}

impl Driven {
    /// Does one step of a session's work for a tab.
    async fn command<T>(
        &self,
        command: &'static str,
        tab: TabId,
        answer: impl Future<Output = Result<T, CmdError>>,
    ) -> Result<T, BrowserError> {
        self.bounded(command, answer).await?.map_err(|error| match Self::session_is_gone(&error) {
            true => self.session_error(&error),
            false => BrowserError::Tab { tab, message: error.to_string() },
        })
    }

    /// Bounds a command by the time-out and by the life of the browser and its driver.
    async fn bounded<T>(&self, command: &'static str, answer: impl Future<Output = T>) -> Result<T, BrowserError> {
        let browser = self.identity.browser;
        let mut ended = self.ended.clone();
        let answer = tokio::select! {
            biased;
            Ok(end) = ended.wait_for(Option::is_some) => return Err(match &*end {
                Some(BrowserSignalKind::DriverExited { message }) => {
                    BrowserError::DriverGone { browser, message: message.clone() }
                }
                _ => BrowserError::Exited { browser },
            }),
            answer = tokio::time::timeout(self.command_timeout, answer) => answer,
        };
        answer.map_err(|_| BrowserError::Hung { browser, command, after: self.command_timeout })
    }

    fn session_is_gone(error: &CmdError) -> bool {
        match error {
            CmdError::Standard(said) => said.error == ErrorStatus::InvalidSessionId,
            CmdError::Failed(_) | CmdError::FailedC(_) | CmdError::Lost(_) => true,
            _ => false,
        }
    }

    /// The error that the session, and not one of its tabs, cannot be used.
    fn session_error(&self, error: &CmdError) -> BrowserError {
        BrowserError::DriverGone { browser: self.identity.browser, message: error.to_string() }
    }

    fn client(&self, session: &Session) -> Result<Client, BrowserError> {
        session.client.clone().ok_or(BrowserError::Exited { browser: self.identity.browser })
    }
}

#[async_trait]
impl RunningBrowser for Driven {
    fn id(&self) -> BrowserId {
        self.id
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn gpu(&self) -> GpuMode {
        self.gpu
    }

    fn process_id(&self) -> Option<u32> {
        self.process_id
    }

    async fn open_tab(&self, tab: TabId, url: &str) -> Result<(), BrowserError> {
        let mut session = self.session.lock().await;
        let client = self.client(&session)?;
        let open = async {
            // A window is opened from another one, and the last that was used may be closed by now, or have crashed.
            client.switch_to_window(session.home.clone()).await?;
            client.new_window(self.open_as == OpenAs::Tabs).await
        };
        let opened = self.command("open a tab", tab, open).await?;
        session.windows.insert(tab, opened.handle.clone());
        let load = async {
            client.switch_to_window(opened.handle).await?;
            client.goto(url).await
        };
        let loaded = self.command("load a page", tab, load).await;
        if let Err(BrowserError::Tab { message, .. }) = loaded {
            session.windows.remove(&tab);
            // The error is the one to be told; the window may be beyond closing.
            let _ = self.command("close a tab", tab, client.close_window()).await;
            return Err(BrowserError::Tab { tab, message: format!("{url} cannot be loaded: {message}") });
        }
        loaded
    }

    async fn restart_worker(&self, tab: TabId) -> Result<(), BrowserError> {
        let session = self.session.lock().await;
        let client = self.client(&session)?;
        let window = session.windows.get(&tab).cloned().ok_or(BrowserError::NoSuchTab { tab })?;
        let restart = async {
            client.switch_to_window(window).await?;
            client.execute("window.tabfleet.restart()", Vec::new()).await
        };
        self.command("restart a worker", tab, restart).await.map(drop)
    }

    async fn close_tab(&self, tab: TabId) -> Result<(), BrowserError> {
        let mut session = self.session.lock().await;
        let client = self.client(&session)?;
        let window = session.windows.remove(&tab).ok_or(BrowserError::NoSuchTab { tab })?;
        let close = async {
            match client.switch_to_window(window).await {
                Ok(()) => client.close_window().await,
                // It was closed by somebody else before.
                Err(CmdError::Standard(said)) if said.error == ErrorStatus::NoSuchWindow => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.command("close a tab", tab, close).await
    }

    async fn heartbeat(&self) -> Result<Heartbeat, BrowserError> {
        // fantoccini and geckodriver both do one command at a time, so that a way around the lock would end in a queue.
        let Ok(session) = self.session.try_lock() else { return Ok(Heartbeat::NotAsked) };
        let client = self.client(&session)?;
        // geckodriver and WebKitWebDriver have the browser's main process list its windows.
        let answer = async { client.windows().await.map(drop) };
        self.bounded("list the windows", answer).await?.map_err(|error| self.session_error(&error))?;
        Ok(Heartbeat::Answered)
    }

    async fn tab_heartbeat(&self, _tab: TabId) -> Result<Heartbeat, BrowserError> {
        Ok(Heartbeat::NotAsked)
    }

    async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let polite = async {
            let client = self.session.lock().await.client.take();
            if let Some(client) = client {
                // A driver that cannot end its browser any more is ended with it.
                let _ = client.close().await;
            }
        };
        if tokio::time::timeout(POLITE_END, polite).await.is_err() {
            tracing::debug!(browser = %self.id, "did not end when asked");
        }
        if let Some(local) = &self.local {
            local.guard.close().await;
            local.driver.ended_by_guard().await;
        }
    }
}
