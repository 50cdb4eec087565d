//! Alerts to somebody who listens on HTTP: one POST of JSON for each, tried again when it fails.

use super::{Alert, AlertConfigError};
use crate::{
    fleet::http::HttpClient,
    schedule::backoff::{Backoff, Exponential, Jitter},
};
use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
};
use serde::Serialize;
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinHandle};
use url::Url;

/// Alerts that may wait. With cool-downs there are rarely two.
const WAITING: usize = 64;

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// What is read of an answer, of which nothing is needed.
const MAX_ANSWER: usize = 64 << 10;

/// The first pause before another try, and the longest.
const PAUSE: Duration = Duration::from_millis(400);
const PAUSE_CAP: Duration = Duration::from_secs(30);

/// How long the closing of a fleet waits for what is not delivered yet.
const FAREWELL: Duration = Duration::from_secs(5);

/// The sending end. It never waits.
pub(super) struct Webhook {
    host: String,
    source: Source,
    queue: mpsc::Sender<Bytes>,
    delivering: JoinHandle<()>,
}

/// Who tells.
#[derive(Clone, Debug, Serialize)]
struct Source {
    command: String,
    pid: u32,
    tabfleet: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    fleet: &'a Source,
}

/// Whether an address can be posted to.
pub(crate) fn check(url: &Url) -> Result<(), AlertConfigError> {
    let why = match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            "a name or a password in the address is not sent; put a token into its path or query"
        }
        "http" if url.has_host() => return Ok(()),
        "https" => "this build speaks no TLS; give the http:// address of something on this machine that forwards them",
        _ => "an http:// address is needed",
    };
    Err(AlertConfigError::Webhook { url: shown(url), why })
}

/// The address without its path and query, where webhooks have their secrets.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

impl Webhook {
    pub fn start(url: Url, tries: u32, command: &str) -> Self {
        let (queue, inbox) = mpsc::channel(WAITING);
        let source =
            Source { command: command.to_owned(), pid: std::process::id(), tabfleet: env!("CARGO_PKG_VERSION") };
        let host = shown(&url);
        Self { host, source, queue, delivering: tokio::spawn(deliver_all(inbox, url, tries)) }
    }

    /// Puts the alert into the queue, or drops it with a word when that is full.
    pub fn send(&self, alert: &Alert) {
        let json = match serde_json::to_vec(&Message { alert, fleet: &self.source }) {
            Ok(json) => json,
            Err(error) => return tracing::error!(%error, "an alert cannot be written as JSON"),
        };
        if self.queue.try_send(json.into()).is_err() {
            tracing::error!(webhook = self.host, "{WAITING} alerts wait to be sent already; this one is not");
        }
    }

    /// Waits a little until everything is delivered.
    pub async fn finish(self) {
        let Self { queue, host, mut delivering, .. } = self;
        drop(queue);
        if tokio::time::timeout(FAREWELL, &mut delivering).await.is_err() {
            delivering.abort();
            tracing::error!(webhook = host, "alerts were not delivered within {FAREWELL:?} of the fleet's end");
        }
    }
}

async fn deliver_all(mut inbox: mpsc::Receiver<Bytes>, url: Url, tries: u32) {
    while let Some(json) = inbox.recv().await {
        if let Err(error) = deliver(&url, json, tries).await {
            tracing::error!(webhook = shown(&url), "an alert was not delivered: {error}");
        }
    }
}

/// Posts the JSON to the address, whose check it has passed: tries until it is taken, refused for good, or was tried often
/// enough. Tells why it was not.
pub(crate) async fn deliver(url: &Url, json: Bytes, tries: u32) -> Result<(), String> {
    let client = HttpClient::new(TRY_TIMEOUT, MAX_ANSWER);
    let pauses = Exponential::new(PAUSE, 2.0, PAUSE_CAP, Jitter::Equal, rand::random());
    let mut pauses = pauses.map_err(|error| error.to_string())?;
    let mut tried = 1;
    loop {
        let request = Request::post(url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("tabfleet/", env!("CARGO_PKG_VERSION")))
            .body(Body::from(json.clone()))
            .map_err(|error| error.to_string())?;
        let why = match client.send(request).await {
            Ok((status, _)) if status.is_success() => return Ok(()),
            Ok((status, _)) if !may_pass(status) => return Err(format!("it was refused with {status}")),
            Ok((status, _)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let pause = pauses.next_backoff().filter(|_| tried < tries);
        let Some(pause) = pause else { return Err(format!("tried {tried} times, the last time: {why}")) };
        tracing::debug!(tried, why, "what a webhook did not take is sent again after {pause:?}");
        tokio::time::sleep(pause).await;
        tried += 1;
    }
}

/// Whether what was answered may be answered otherwise later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS
}
