//! The HTTP server on 127.0.0.1: the page, the models, and the WebSockets of the tabs.

use super::{
    connection,
    error::HarnessError,
    files::ModelStore,
    health::{HealthDesk, HealthQuestion},
    pages,
    tabs::{Invitation, TabSignal, Tabs},
};
use crate::types::TabId;
use axum::{
    Router,
    extract::{
        Path, Query, Request, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use serde::Deserialize;
use std::{
    fmt, io,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::AbortHandle,
};

/// On every response: cross-origin isolation, and nothing told to or taken from other origins.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-embedder-policy"), HeaderValue::from_static("require-corp")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// A JavaScript module to load models with instead of ONNX Runtime Web.
    pub custom_runtime: Option<PathBuf>,
    /// The largest message a tab may send, in bytes, which it is told when its backend is started. A tab that sends a
    /// larger one breaks the protocol.
    pub max_frame_bytes: usize,
}

impl Default for ServerConfig {
    /// A free port, ONNX Runtime Web, and messages of 1 GiB: beside the inputs and the model, no more fits the memory of
    /// a tab, which ends at 4 GiB.
    fn default() -> Self {
        Self { port: 0, custom_runtime: None, max_frame_bytes: 1 << 30 }
    }
}

/// The harness server. A clone is another handle to it; it stops when the last one is dropped, or at
/// [`close`](Server::close).
#[derive(Clone)]
pub struct Server(Arc<Running>);

struct Running {
    house: Arc<House>,
    serving: AbortHandle,
}

/// What the request handlers share.
struct House {
    origin: Arc<str>,
    host: String,
    models: ModelStore,
    tabs: Arc<Tabs>,
    custom_runtime: Option<PathBuf>,
    max_frame_bytes: usize,
    health: OnceLock<HealthDesk>,
    /// Turns true once. Everything that is to end with the server watches it, and has ended when nothing watches any
    /// more.
    closing: watch::Sender<bool>,
}

impl Server {
    /// Listens on 127.0.0.1 and serves from then on.
    ///
    /// # Errors
    /// [`HarnessError::PortTaken`], [`HarnessError::Listen`], [`HarnessError::CustomRuntime`] when that file cannot be
    /// read, [`HarnessError::PagesMissing`] and [`HarnessError::Randomness`].
    pub async fn start(config: ServerConfig) -> Result<Self, HarnessError> {
        let ServerConfig { port, custom_runtime, max_frame_bytes } = config;
        if !pages::are_embedded() {
            return Err(HarnessError::PagesMissing);
        }
        if let Some(path) = &custom_runtime {
            let readable = tokio::fs::read(path).await;
            readable.map_err(|source| HarnessError::CustomRuntime { path: path.clone(), source })?;
        }
        let listen = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => HarnessError::PortTaken { port, source },
            _ => HarnessError::Listen { port, source },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Without it, the system holds small frames back to join them with later ones.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("cannot set TCP_NODELAY: {error}");
            }
        });
        // Browsers leave HTTP's own port out of both `Host` and `Origin`.
        let host = if address.port() == 80 { address.ip().to_string() } else { address.to_string() };
        let house = Arc::new(House {
            origin: format!("http://{host}").into(),
            host,
            models: ModelStore::default(),
            tabs: Arc::new(Tabs::new()?),
            custom_runtime,
            max_frame_bytes,
            health: OnceLock::new(),
            closing: watch::Sender::new(false),
        });
        let (asked, ended) = (house.closing.subscribe(), house.closing.subscribe());
        let router = router(house.clone());
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(asked_to_close(asked));
            if let Err(error) = serving.await {
                tracing::error!("the harness server stopped: {error}");
            }
            drop(ended);
        });
        Ok(Self(Arc::new(Running { house, serving: serving.abort_handle() })))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.0.house.origin
    }

    /// The model files it offers.
    pub fn models(&self) -> &ModelStore {
        &self.0.house.models
    }

    /// Whether it was given a module to load models with.
    pub fn has_custom_runtime(&self) -> bool {
        self.0.house.custom_runtime.is_some()
    }

    /// Lets a tab connect. What happens on its sockets is sent to `signals`, until the invitation is dropped.
    pub fn invite(&self, tab: TabId, signals: mpsc::UnboundedSender<TabSignal>) -> Invitation {
        let House { tabs, origin, .. } = &*self.0.house;
        tabs.invite(origin.clone(), tab, signals)
    }

    /// Answers `GET /health` from now on, to whoever sends the token that comes back: as `Authorization: Bearer TOKEN`.
    /// Each such request comes as a question. `None` when that has been done before.
    pub fn serve_health(&self) -> Option<(String, mpsc::Receiver<HealthQuestion>)> {
        let token = self.0.house.tabs.new_token();
        let (desk, questions) = HealthDesk::open(&token);
        self.0.house.health.set(desk).ok().map(|()| (token, questions))
    }

    /// Stops listening and closes every socket. Returns when they are closed, or after the two seconds that tabs are
    /// given for it at most.
    pub async fn close(&self) {
        let closing = &self.0.house.closing;
        closing.send_replace(true);
        if tokio::time::timeout(2 * connection::CLOSE_GRACE, closing.closed()).await.is_err() {
            tracing::debug!("some connections did not close in time");
            self.0.serving.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.house.closing.send_replace(true);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

async fn asked_to_close(mut closing: watch::Receiver<bool>) {
    // An error means that the sender is gone, and the server with it.
    let _ = closing.wait_for(|closing| *closing).await;
}

fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/tab", get(tab))
        .route("/assets/{*path}", get(asset))
        .route("/models/{sha256}", get(model))
        .route("/runtime/custom.js", get(custom_runtime))
        .route("/socket", get(socket))
        .route("/health", get(health))
        .fallback(async || pages::not_found("nothing is here"))
        .layer(middleware::from_fn_with_state(house.clone(), guard))
        .with_state(house)
}

/// Refuses requests for another host, which is how a page whose name was rebound to 127.0.0.1 looks, and adds the headers.
async fn guard(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    let mut response = if is(request.headers(), header::HOST, &house.host) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this server answers for its own address only").into_response()
    };
    response.headers_mut().extend(HEADERS);
    response
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
}

async fn tab(State(house): State<Arc<House>>, Query(Token { token }): Query<Token>, request: HeaderMap) -> Response {
    if !house.tabs.is_invited(&token) {
        return pages::not_found("no tab has this token");
    }
    pages::embedded(pages::PAGE, &request)
}

async fn asset(Path(path): Path<String>, request: HeaderMap) -> Response {
    pages::embedded(&format!("assets/{path}"), &request)
}

async fn model(State(house): State<Arc<House>>, Path(sha256): Path<String>, request: HeaderMap) -> Response {
    match house.models.sources(&sha256) {
        Some((sources, bytes)) => pages::model(&sha256, sources, bytes, &request).await,
        None => pages::not_found("no such model file is published"),
    }
}

async fn custom_runtime(State(house): State<Arc<House>>) -> Response {
    match &house.custom_runtime {
        Some(path) => pages::custom_runtime(path).await,
        None => pages::not_found("no custom runtime was given"),
    }
}

async fn health(State(house): State<Arc<House>>, request: HeaderMap) -> Response {
    match house.health.get() {
        Some(desk) => desk.answer(&request).await,
        None => pages::not_found("this fleet does not tell of its health"),
    }
}

async fn socket(
    State(house): State<Arc<House>>,
    Query(Token { token }): Query<Token>,
    request: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !is(&request, header::ORIGIN, &house.origin) {
        return (StatusCode::FORBIDDEN, "only the harness page may connect").into_response();
    }
    if !house.tabs.is_invited(&token) {
        return pages::not_found("no tab has this token");
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let closing = house.closing.subscribe();
    upgrade.max_message_size(house.max_frame_bytes).max_frame_size(house.max_frame_bytes).on_upgrade(
        async move |socket| {
            // The invitation may have been taken back since the check.
            if let Some(place) = house.tabs.take_place(&token) {
                connection::serve(socket, place, house.origin.clone(), house.max_frame_bytes, closing).await;
            }
        },
    )
}

/// Whether a header is there once and has exactly this value.
pub(super) fn is(headers: &HeaderMap, name: HeaderName, value: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|given| given.as_bytes() == value.as_bytes()) && values.next().is_none()
}
