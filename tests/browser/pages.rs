//! A tiny page server, and a browser or the reason why there is none.

use crate::{
    missing::skip,
    processes::{PATIENCE, within},
};
use axum::{Router, extract::State, response::Html, routing::get};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tabfleet::{
    browser::{
        BrowserError, BrowserSignal, BrowserSignalKind, Catalogue, LaunchOptions, Overrides, RunningBrowser, launch,
    },
    types::{Browser, BrowserId},
};
use tokio::sync::mpsc;

/// Serves a page that tells when it has loaded (`/loaded`) and when its worker was restarted (`/restarted`).
pub struct Pages {
    pub url: String,
    told: mpsc::UnboundedReceiver<&'static str>,
}

const PAGE: &str = r#"<!doctype html><title>a tab</title><script>
window.tabfleet = { restart() { fetch("/restarted") } };
fetch("/loaded");
</script>"#;

/// Asked to restart its worker, it goes elsewhere instead.
const LEAVING: &str = r#"<!doctype html><script>
window.tabfleet = { restart() { location = "/elsewhere" } };
</script>"#;

/// Asked to restart its worker, it hangs forever instead.
const HANGING: &str = r#"<!doctype html><script>
window.tabfleet = { restart() { for (;;); } };
</script>"#;

/// Holds 200 MB, every page of them written, and tells so.
const HEAVY: &str = r#"<!doctype html><script>
window.held = new Uint8Array(200e6).fill(1);
fetch("/held");
</script>"#;

impl Pages {
    pub async fn serve() -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let tell = |what: &'static str| {
            get(move |State(sender): State<mpsc::UnboundedSender<&'static str>>| async move {
                let _ = sender.send(what);
            })
        };
        let router = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/loaded", tell("loaded"))
            .route("/restarted", tell("restarted"))
            .route("/leaving", get(|| async { Html(LEAVING) }))
            .route("/hanging", get(|| async { Html(HANGING) }))
            .route("/heavy", get(|| async { Html(HEAVY) }))
            .route("/held", tell("held"))
            .route("/elsewhere", get(|| async { Html("<!doctype html><title>elsewhere</title>") }))
            .with_state(sender);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, told }
    }

    /// Waits until a page has told this.
    pub async fn told(&mut self, what: &str) {
        let heard = async {
            while let Some(told) = self.told.recv().await {
                if told == what {
                    return;
                }
            }
            panic!("the page server ended");
        };
        within(PATIENCE, what, heard).await;
    }
}

pub struct Started {
    pub browser: Arc<dyn RunningBrowser>,
    pub signals: Signals,
}

pub struct Signals(pub mpsc::UnboundedReceiver<BrowserSignal>);

impl Signals {
    pub async fn next(&mut self) -> BrowserSignalKind {
        within(PATIENCE, "a signal", self.0.recv()).await.expect("the browser gave up its signals").kind
    }

    /// What was signalled so far and not yet taken.
    pub fn so_far(&mut self) -> Vec<BrowserSignalKind> {
        std::iter::from_fn(|| self.0.try_recv().ok().map(|signal| signal.kind)).collect()
    }
}

pub fn options(browser: Browser) -> LaunchOptions {
    LaunchOptions { launch_timeout: Duration::from_secs(60), ..LaunchOptions::new(browser) }
}

/// Starts the browser, or says loudly why it cannot be tested on this machine.
pub async fn start(browser: Browser) -> Option<Started> {
    start_with(&options(browser)).await
}

/// The same, launched in another way than usual.
pub async fn start_with(options: &LaunchOptions) -> Option<Started> {
    let browser = options.browser;
    let (sender, signals) = mpsc::unbounded_channel();
    let catalogue = Catalogue::embedded().unwrap();
    let overrides = Overrides::default().from_env();
    let before = Instant::now();
    match launch(&catalogue, &overrides, BrowserId(1), options, sender).await {
        Ok(running) => {
            println!("{browser}: launched in {:?}: {:?}", before.elapsed(), running.identity());
            Some(Started { browser: running, signals: Signals(signals) })
        }
        Err(error @ (BrowserError::NotFound { .. } | BrowserError::DriverNotFound { .. })) => {
            skip(browser, &error);
            None
        }
        Err(error) => panic!("{browser} is installed but did not start: {error}"),
    }
}
