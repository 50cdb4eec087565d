//! Launching a browser, whichever it is.

use super::{
    BrowserError, BrowserSignal, Catalogue, DriverKind, GpuMode, Overrides, RunningBrowser,
    catalogue::DriverName,
    cdp, drivers,
    recipe::{Circumstances, Recipe, runs_as_root},
};
use crate::types::{Backend, Browser, BrowserId};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How a browser is to be launched.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// The slot.
    pub browser: Browser,
    /// What will be run in it; only their flags and prefs are set.
    pub backends: BTreeSet<Backend>,
    /// Which GPU adapter it is launched for.
    pub gpu: GpuMode,
    /// Without a window.
    pub headless: bool,
    /// How long it may take until it can be driven.
    pub launch_timeout: Duration,
    /// How long one command to the browser or its driver may take.
    pub command_timeout: Duration,
}

impl LaunchOptions {
    /// A headless `browser` for every backend, on the adapter the machine offers, with 30 s to start (a loaded machine
    /// needs ten times an idle one's two) and 10 s for a command.
    pub fn new(browser: Browser) -> Self {
        Self {
            browser,
            backends: Backend::ALL.iter().copied().collect(),
            gpu: GpuMode::Auto,
            headless: true,
            launch_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(10),
        }
    }
}

/// One launch: what every kind of browser needs to know.
#[derive(Clone)]
pub(super) struct Launch {
    pub id: BrowserId,
    pub options: LaunchOptions,
    /// `Hardware` or `Software`.
    pub gpu: GpuMode,
    pub recipe: Recipe,
    pub driver_minimum: Option<String>,
    pub driver_bring: String,
    pub signals: Signals,
}

/// Where a browser's signals go.
#[derive(Clone)]
pub(super) struct Signals {
    pub browser: BrowserId,
    pub sender: mpsc::UnboundedSender<BrowserSignal>,
}

impl Signals {
    /// Tells the fleet. A fleet that no longer listens is closing.
    pub fn send(&self, kind: super::BrowserSignalKind) {
        let _ = self.sender.send(BrowserSignal { browser: self.browser, kind });
    }
}

/// Launches the browser that fills a slot and connects to it.
///
/// Whatever was started is ended when the launch fails or the future is dropped. `signals` has no sender any more when
/// nothing of it is left.
///
/// # Errors
/// What [`Catalogue::find`] returns, and [`BrowserError`]'s launch failures, with the browser's last words.
pub async fn launch(
    catalogue: &Catalogue,
    overrides: &Overrides,
    id: BrowserId,
    options: &LaunchOptions,
    signals: mpsc::UnboundedSender<BrowserSignal>,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let browser = options.browser;
    let found = catalogue.find(browser, overrides)?;
    let (_, engine) = catalogue.entry(browser)?;
    // What this machine has says nothing about another one: its browser is left to its own choice.
    let elsewhere = matches!(&found.driver, DriverKind::RemoteWebDriver { url } if !is_this_machine(url));
    let gpu = match options.gpu {
        GpuMode::Auto if elsewhere => GpuMode::Hardware,
        mode => mode.resolve(),
    };
    let root = !elsewhere && runs_as_root();
    let circumstances = Circumstances { browser, backends: &options.backends, gpu, headless: options.headless, root };
    let own_args = overrides.args.get(&browser).map_or(&[][..], Vec::as_slice);
    let recipe = Recipe::new(engine, &circumstances, own_args);
    if recipe.args.iter().any(|arg| arg == "--no-sandbox") {
        tracing::warn!(%browser, "launched without its sandbox; run the fleet as an ordinary user to keep it");
    }
    let launch = Launch {
        id,
        options: options.clone(),
        gpu,
        recipe,
        driver_minimum: engine.driver_minimum.clone(),
        driver_bring: engine.driver_bring.here().clone(),
        signals: Signals { browser: id, sender: signals },
    };
    match (found.driver, found.binary) {
        (DriverKind::Cdp, Some(binary)) => cdp::launch(launch, binary).await,
        (DriverKind::WebDriver { driver_binary }, Some(binary)) => match engine.driver {
            DriverName::Geckodriver => drivers::launch_firefox(launch, driver_binary, binary).await,
            _ => drivers::launch_webkit(launch, driver_binary, binary).await,
        },
        (DriverKind::RemoteWebDriver { url }, _) => drivers::connect_remote(launch, url).await,
        (_, None) => Err(BrowserError::NotExecutable { browser, path: PathBuf::new() }),
    }
}

fn is_this_machine(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
