//! Chrome and Edge over CDP.

use super::{
    BrowserError, BrowserSignalKind, GpuMode, Heartbeat, RunningBrowser,
    guard::Guard,
    identity::is_stand_in,
    launch::{Launch, Signals},
    process::{LastWords, Process, Program},
    recipe::Recipe,
};
use crate::types::{Browser, BrowserId, Identity, TabId};
use async_trait::async_trait;
use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::{
            browser::{CloseParams, GetVersionParams},
            log, network, page, performance,
            target::{
                CloseTargetParams, CreateTargetParams, EventTargetCrashed, EventTargetDestroyed,
                EventTargetInfoChanged, SetAutoAttachParams, TargetId,
            },
        },
        js_protocol::runtime,
    },
    error::CdpError,
    handler::HandlerConfig,
};
use futures::StreamExt;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// How long a browser may take to end by itself once asked; an idle Chromium takes a tenth of it.
const POLITE_END: Duration = Duration::from_secs(2);

/// A Chromium that this process started.
struct Chromium {
    id: BrowserId,
    identity: Identity,
    gpu: GpuMode,
    command_timeout: Duration,
    process: Process,
    browser: chromiumoxide::Browser,
    tabs: Tabs,
    /// Set before the end is asked for, so that it is not signalled.
    closing: Arc<AtomicBool>,
    guard: Arc<Guard>,
    _tasks: JoinSet<()>,
}

/// The open tabs. A std mutex: held for a look-up, never across an await.
#[derive(Clone, Default)]
struct Tabs(Arc<Mutex<HashMap<TabId, Tab>>>);

struct Tab {
    page: Page,
    target: TargetId,
    /// Where it is sent, and whether it has arrived: the events of its coming from the blank page may be read later
    /// than the answer that it has loaded.
    url: String,
    arrived: bool,
    /// A tab is lost once: what follows the first signal is its consequence.
    lost: bool,
}

impl Tabs {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TabId, Tab>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn page(&self, tab: TabId) -> Result<Page, BrowserError> {
        self.with(|tabs| tabs.get(&tab).map(|tab| tab.page.clone())).ok_or(BrowserError::NoSuchTab { tab })
    }

    /// The tab shown by a target, when it has just been lost.
    fn lose(&self, target: &TargetId, is_lost: impl FnOnce(&mut Tab) -> bool) -> Option<TabId> {
        self.with(|tabs| {
            let (id, tab) = tabs.iter_mut().find(|(_, tab)| &tab.target == target)?;
            (!tab.lost && is_lost(tab)).then(|| {
                tab.lost = true;
                *id
            })
        })
    }
}

/// Starts a Chromium and connects to it.
pub(super) async fn launch(launch: Launch, binary: PathBuf) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let guard = Arc::new(Guard::start(launch.signals.sender.clone()).await?);
    let browser = launch.options.browser;
    let mut args: Vec<_> = launch.recipe.args.iter().map(Into::into).collect();
    args.push("--remote-debugging-port=0".into());
    let mut profile = std::ffi::OsString::from("--user-data-dir=");
    profile.push(guard.folder().join("profile"));
    args.push(profile);
    let Recipe { env, without_env, .. } = launch.recipe.clone();
    let program = Program { binary, args, env, without_env };
    let mut process = Process::start(program, &guard, LastWords::default()).await?;
    let after = launch.options.launch_timeout;
    match tokio::time::timeout(after, connect(&launch, &mut process)).await {
        Ok(connected) => {
            let Connected { browser, identity, tabs, closing, tasks } = connected?;
            Ok(Arc::new(Chromium {
                id: launch.id,
                identity,
                gpu: launch.gpu,
                command_timeout: launch.options.command_timeout,
                process,
                browser,
                tabs,
                closing,
                guard,
                _tasks: tasks,
            }))
        }
        Err(_) => Err(BrowserError::NeverConnected { browser, after, last_words: process.last_words().text() }),
    }
}

/// What a [`Chromium`] has of its connection.
struct Connected {
    browser: chromiumoxide::Browser,
    identity: Identity,
    tabs: Tabs,
    closing: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

async fn connect(launch: &Launch, process: &mut Process) -> Result<Connected, BrowserError> {
    let browser = launch.options.browser;
    let url = process.wait_for_line(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned)).await?;
    let config = HandlerConfig {
        // No emulated screen: a tab is as large as its window.
        viewport: None,
        request_timeout: launch.options.command_timeout,
        ..HandlerConfig::default()
    };
    let refused = |process: &Process, error: CdpError| BrowserError::Refused {
        browser,
        message: error.to_string(),
        last_words: process.last_words().text(),
    };
    let (driver, mut handler) =
        chromiumoxide::Browser::connect_with_config(url, config).await.map_err(|e| refused(process, e))?;
    let closing = Arc::new(AtomicBool::new(false));
    let tabs = Tabs::default();
    let mut tasks = JoinSet::new();
    // In a task of its own, so that a panic in it is an end like every other.
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        while let Some(step) = handler.next().await {
            if let Err(error) = step {
                return error.to_string();
            }
        }
        "the DevTools connection was closed".to_owned()
    });
    let connection_end = async move {
        match driving.join_next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => error.to_string(),
            None => String::new(),
        }
    };
    tasks.spawn(watch_end(process.watch_end(), connection_end, launch.signals.clone(), closing.clone()));
    let crashed = driver.event_listener::<EventTargetCrashed>().await.map_err(|e| refused(process, e))?;
    let destroyed = driver.event_listener::<EventTargetDestroyed>().await.map_err(|e| refused(process, e))?;
    let changed = driver.event_listener::<EventTargetInfoChanged>().await.map_err(|e| refused(process, e))?;
    tasks.spawn(watch_tabs(crashed, destroyed, changed, tabs.clone(), launch.signals.clone(), closing.clone()));
    let version = driver.execute(GetVersionParams::default()).await.map_err(|e| refused(process, e))?.result;
    let identity = identity(browser, &version.product, &version.protocol_version, launch.options.headless);
    Ok(Connected { browser: driver, identity, tabs, closing, tasks })
}

/// `product` is CDP's, for instance `HeadlessChrome/147.0.7727.0`.
fn identity(browser: Browser, product: &str, protocol: &str, headless: bool) -> Identity {
    let (product, version) = product.split_once('/').unwrap_or((product, ""));
    Identity {
        browser,
        product: product.to_owned(),
        version: version.to_owned(),
        headless,
        driver: format!("cdp {protocol}"),
        stand_in: is_stand_in(browser, product),
    }
}

/// Signals the end of the process, or of the connection to one that still runs.
async fn watch_end(
    process_end: impl Future<Output = super::process::End>,
    connection_end: impl Future<Output = String>,
    signals: Signals,
    closing: Arc<AtomicBool>,
) {
    let (mut process_end, mut connection_end) = (std::pin::pin!(process_end), std::pin::pin!(connection_end));
    let kind = tokio::select! {
        end = &mut process_end => BrowserSignalKind::Exited { status: end.status, last_words: end.last_words },
        // A dying browser closes its sockets before it is gone: its exit says more than the loss of the socket.
        message = &mut connection_end => match tokio::time::timeout(POLITE_END, process_end).await {
            Ok(end) => BrowserSignalKind::Exited { status: end.status, last_words: end.last_words },
            Err(_) => BrowserSignalKind::DriverExited { message },
        },
    };
    if !closing.load(Ordering::Acquire) {
        signals.send(kind);
    }
}

async fn watch_tabs(
    mut crashed: chromiumoxide::listeners::EventStream<EventTargetCrashed>,
    mut destroyed: chromiumoxide::listeners::EventStream<EventTargetDestroyed>,
    mut changed: chromiumoxide::listeners::EventStream<EventTargetInfoChanged>,
    tabs: Tabs,
    signals: Signals,
    closing: Arc<AtomicBool>,
) {
    loop {
        let signal = tokio::select! {
            Some(event) = crashed.next() => tabs.lose(&event.target_id, |_| true).map(|tab| {
                let message = format!("the tab's renderer ended: {} ({})", event.status, event.error_code);
                BrowserSignalKind::TabCrashed { tab, message }
            }),
            Some(event) = destroyed.next() => {
                tabs.lose(&event.target_id, |_| true).map(|tab| BrowserSignalKind::TabClosed { tab })
            }
            Some(event) = changed.next() => {
                let url = &event.target_info.url;
                let left = |tab: &mut Tab| {
                    let is_there = same_page(&tab.url, url);
                    tab.arrived |= is_there;
                    // Between two pages, some versions name none.
                    tab.arrived && !is_there && !url.is_empty()
                };
                tabs.lose(&event.target_info.target_id, left)
                    .map(|tab| BrowserSignalKind::TabNavigated { tab, url: url.clone() })
            }
            else => return,
        };
        if let Some(kind) = signal.filter(|_| !closing.load(Ordering::Acquire)) {
            signals.send(kind);
        }
    }
}

/// Whether two addresses are the same page, whatever its fragment.
fn same_page(a: &str, b: &str) -> bool {
    let page = |url: &str| {
        let mut url = url::Url::parse(url).ok()?;
        url.set_fragment(None);
        Some(url)
    };
    page(a) == page(b)
}

impl Chromium {
    /// A command that a tab's renderer answers: when it does not, the tab hangs, not the browser.
    async fn page_command<T>(
        &self,
        command: &'static str,
        tab: TabId,
        answer: impl Future<Output = Result<T, CdpError>>,
    ) -> Result<T, BrowserError> {
        self.command(command, tab, answer).await.map_err(|error| match error {
            BrowserError::Hung { .. } => BrowserError::Tab { tab, message: error.to_string() },
            error => error,
        })
    }

    /// A command that concerns a tab and that the browser itself answers.
    async fn command<T>(
        &self,
        command: &'static str,
        tab: TabId,
        answer: impl Future<Output = Result<T, CdpError>>,
    ) -> Result<T, BrowserError> {
        self.bounded(command, answer).await?.map_err(|error| BrowserError::Tab { tab, message: error.to_string() })
    }

    /// Bounds a command by the time-out and by the browser's life: chromiumoxide does not answer what was asked of a
    /// browser whose socket has closed. The inner error is the browser's answer.
    async fn bounded<T>(
        &self,
        command: &'static str,
        answer: impl Future<Output = Result<T, CdpError>>,
    ) -> Result<Result<T, CdpError>, BrowserError> {
        let browser = self.identity.browser;
        let answer = tokio::select! {
            biased;
            _ = self.process.ended() => return Err(BrowserError::Exited { browser }),
            answer = tokio::time::timeout(self.command_timeout, answer) => answer,
        };
        let message = match answer {
            Ok(Err(CdpError::Timeout)) | Err(_) => {
                return Err(BrowserError::Hung { browser, command, after: self.command_timeout });
            }
            Ok(Err(CdpError::Ws(error))) => error.to_string(),
            Ok(Err(CdpError::ChannelSendError(error))) => error.to_string(),
            Ok(answer) => return Ok(answer),
        };
        // A dying browser closes its socket a little before it is gone.
        match tokio::time::timeout(POLITE_END, self.process.ended()).await {
            Ok(_) => Err(BrowserError::Exited { browser }),
            Err(_) => Err(BrowserError::DriverGone { browser, message }),
        }
    }

    /// Turns off what chromiumoxide turns on in every page and nobody here uses. Attaching to workers makes each one
    /// wait for the debugger when it starts; and were the network watched in one, too, every message of its WebSocket
    /// would be copied to us in base64 (measured: 300 messages of 64 KiB echoed in 866 ms instead of 376 ms).
    async fn quieten(page: &Page) -> Result<(), CdpError> {
        page.execute(SetAutoAttachParams::new(false, false)).await?;
        page.execute(network::DisableParams::default()).await?;
        page.execute(runtime::DisableParams::default()).await?;
        page.execute(log::DisableParams::default()).await?;
        page.execute(performance::DisableParams::default()).await?;
        Ok(())
    }
}

#[async_trait]
impl RunningBrowser for Chromium {
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
        Some(self.process.pid())
    }

    async fn open_tab(&self, tab: TabId, url: &str) -> Result<(), BrowserError> {
        let blank = CreateTargetParams::new("about:blank");
        let page = self.command("open a tab", tab, self.browser.new_page(blank)).await?;
        let target = page.target_id().clone();
        self.tabs.with(|tabs| {
            tabs.insert(tab, Tab { page: page.clone(), target, url: url.to_owned(), arrived: false, lost: false })
        });
        let opened = async {
            self.page_command("prepare a tab", tab, Self::quieten(&page)).await?;
            let loaded = self.page_command("load a page", tab, page.execute(page::NavigateParams::new(url))).await?;
            match loaded.result.error_text {
                Some(message) => Err(BrowserError::Tab { tab, message: format!("{url} cannot be loaded: {message}") }),
                None => Ok(()),
            }
        };
        if let Err(error) = opened.await {
            // The error is the one to be told; the tab may be beyond closing.
            let _ = self.close_tab(tab).await;
            return Err(error);
        }
        Ok(())
    }

    async fn restart_worker(&self, tab: TabId) -> Result<(), BrowserError> {
        let page = self.tabs.page(tab)?;
        let restart = runtime::EvaluateParams::new("void window.tabfleet.restart()");
        let answer = self.page_command("restart a worker", tab, page.execute(restart)).await?;
        match answer.result.exception_details {
            Some(details) => Err(BrowserError::Tab {
                tab,
                message: details.exception.and_then(|e| e.description).unwrap_or(details.text),
            }),
            None => Ok(()),
        }
    }

    async fn heartbeat(&self) -> Result<Heartbeat, BrowserError> {
        let asked = self.browser.execute(GetVersionParams::default());
        let answer = self.bounded("say its version", asked).await?;
        answer
            .map_err(|error| BrowserError::DriverGone { browser: self.identity.browser, message: error.to_string() })?;
        Ok(Heartbeat::Answered)
    }

    async fn tab_heartbeat(&self, tab: TabId) -> Result<Heartbeat, BrowserError> {
        let page = self.tabs.page(tab)?;
        let ask = runtime::EvaluateParams::new("typeof window.tabfleet");
        let answer = self.page_command("ask a tab", tab, page.execute(ask)).await?;
        match answer.result.result.value {
            Some(serde_json::Value::String(kind)) if kind == "object" => Ok(Heartbeat::Answered),
            _ => Err(BrowserError::Tab { tab, message: "its page is not the harness page".to_owned() }),
        }
    }

    async fn close_tab(&self, tab: TabId) -> Result<(), BrowserError> {
        let closed = self.tabs.with(|tabs| tabs.remove(&tab)).ok_or(BrowserError::NoSuchTab { tab })?;
        let close = self.browser.execute(CloseTargetParams::new(closed.target));
        match self.command("close a tab", tab, close).await {
            // It was closed by somebody else before.
            Err(BrowserError::Tab { .. }) if closed.lost => Ok(()),
            other => other.map(drop),
        }
    }

    async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let polite = async {
            let asked = self.browser.execute(CloseParams::default());
            tokio::select! {
                _ = asked => {}
                _ = self.process.ended() => {}
            }
            self.process.ended().await
        };
        if tokio::time::timeout(POLITE_END, polite).await.is_err() {
            tracing::debug!(browser = %self.id, "did not end when asked");
        }
        self.guard.close().await;
        self.process.ended_by_guard().await;
    }
}
