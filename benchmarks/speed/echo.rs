//! The raw limits: a bare page whose worker sends back what it gets, or runs a model on it and sends back the result; no
//! frames, no headers, no fleet. Its browser is launched as the fleet launches its own.

use crate::Failed;
use axum::{
    Router,
    extract::Path as AxumPath,
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tabfleet::{
    browser::{Catalogue, LaunchOptions, Overrides, RunningBrowser, launch},
    types::{Backend, Browser, BrowserId, TabId},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

const PAGE: &str = "<!doctype html><title>bare</title><script>new Worker('/worker.js', { type: 'module' })</script>";

/// A worker that sends back what it gets.
const ECHO: &str = "const serve = (data) => socket.send(data);";

/// A worker that runs the model on what it gets, one message after the other, and sends back its output. It has run once
/// before its socket opens.
const MODEL: &str = "import * as ort from '/ort/ort.wasm.min.mjs';
ort.env.wasm.wasmPaths = '/ort/';
const session = await ort.InferenceSession.create('/model.onnx', { executionProviders: ['wasm'] });
const [input] = session.inputNames, [output] = session.outputNames;
const run = async (data) => (await session.run({ [input]: new ort.Tensor('float32', data, SHAPE) }))[output].data;
await run(new Float32Array(SHAPE.reduce((a, b) => a * b, 1)));
let last = Promise.resolve();
const serve = (data) => { last = last.then(async () => socket.send(await run(new Float32Array(data)))); };";

/// A bare page, and the browser it runs in.
pub struct Echo {
    socket: WebSocketStream<TcpStream>,
    browser: Arc<dyn RunningBrowser>,
}

impl Echo {
    /// Opens a bare page whose worker echoes, and waits for it to connect.
    pub async fn start() -> Result<Self, Failed> {
        Self::open(Router::new(), ECHO).await
    }

    /// Opens a bare page whose worker runs the case's model, which takes and gives one float32 tensor of `shape`.
    pub async fn running(peers: &Path, folder: &Path, shape: &[usize]) -> Result<Self, Failed> {
        let model = std::fs::read(folder.join("model.onnx"))?;
        let router = runtime(peers).route("/model.onnx", get(async move || served("application/octet-stream", model)));
        Self::open(router, &MODEL.replace("SHAPE", &format!("{shape:?}"))).await
    }

    async fn open(router: Router, work: &str) -> Result<Self, Failed> {
        let bare = BareBrowser::launch(router, PAGE, work).await?;
        Ok(Self { socket: bare.open_tab(TabId(0)).await?, browser: bare.browser })
    }

    /// Milliseconds of each round trip of so many bytes.
    pub async fn round_trips(&mut self, bytes: usize, count: usize) -> Result<Vec<f64>, Failed> {
        let payload = Bytes::from(vec![7; bytes]);
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            self.socket.send(Message::Binary(payload.clone())).await?;
            match self.socket.next().await {
                Some(Ok(Message::Binary(back))) if back.len() == bytes => {}
                other => return Err(format!("the echo answered with {other:?}").into()),
            }
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }

    /// Round trips of so many bytes a second, with so many under way.
    pub async fn rate(&mut self, bytes: usize, count: usize, under_way: usize) -> Result<f64, Failed> {
        let payload = Bytes::from(vec![7; bytes]);
        let started = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < under_way {
                self.socket.feed(Message::Binary(payload.clone())).await?;
                sent += 1;
            }
            self.socket.flush().await?;
            self.socket.next().await.ok_or("the echo has ended")??;
            answered += 1;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    /// The browser's program and the flags it was given, for others to launch it likewise.
    pub fn browser_command(&self) -> Result<(String, Vec<String>), Failed> {
        let found = Catalogue::embedded()?.find(Browser::Chrome, &Overrides::default().from_env())?;
        let program = found.binary.ok_or("chrome has no program here")?.to_string_lossy().into_owned();
        let pid = self.browser.process_id().ok_or("the browser has no process here")?;
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        let own = |flag: &&str| {
            flag.starts_with("--") && !flag.starts_with("--remote-debugging") && !flag.starts_with("--user-data-dir")
        };
        Ok((program, command.split('\0').filter(own).map(str::to_owned).collect()))
    }

    pub async fn close(self) {
        self.browser.close().await;
    }
}

/// A browser whose tabs have a worker each, with a socket to here and nothing else.
pub struct BareBrowser {
    browser: Arc<dyn RunningBrowser>,
    url: String,
    sockets: TcpListener,
}

impl BareBrowser {
    /// Launches the browser. `work` is the worker's script, which defines `serve(data)` for what comes over `socket`.
    pub async fn launch(router: Router, page: &'static str, work: &str) -> Result<Self, Failed> {
        let sockets = TcpListener::bind("127.0.0.1:0").await?;
        let worker = format!(
            "{work}
             const socket = new WebSocket('ws://{}');
             socket.binaryType = 'arraybuffer';
             socket.onmessage = ({{ data }}) => serve(data);",
            sockets.local_addr()?
        );
        let pages = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", pages.local_addr()?);
        let router = router
            .route("/", get(async move || served("text/html", page)))
            .route("/worker.js", get(async move || served("text/javascript", worker)));
        tokio::spawn(async move { axum::serve(pages, router).await });

        let (signals, _) = tokio::sync::mpsc::unbounded_channel();
        let options = LaunchOptions { backends: [Backend::Wasm].into(), ..LaunchOptions::new(Browser::Chrome) };
        let overrides = Overrides::default().from_env();
        let browser = launch(&Catalogue::embedded()?, &overrides, BrowserId(0), &options, signals).await?;
        Ok(Self { browser, url, sockets })
    }

    /// Opens one more tab, and waits for its worker to connect.
    pub async fn open_tab(&self, tab: TabId) -> Result<WebSocketStream<TcpStream>, Failed> {
        self.browser.open_tab(tab, &self.url).await?;
        let (stream, _) = tokio::time::timeout(Duration::from_secs(20), self.sockets.accept()).await??;
        stream.set_nodelay(true)?;
        Ok(tokio_tungstenite::accept_async(stream).await?)
    }

    pub async fn close(self) {
        self.browser.close().await;
    }
}

/// Serves ONNX Runtime Web under `/ort/`.
pub fn runtime(peers: &Path) -> Router {
    let runtime = peers.join("node_modules/onnxruntime-web/dist");
    let file = async move |AxumPath(name): AxumPath<String>| match tokio::fs::read(runtime.join(&name)).await {
        Ok(bytes) if name.ends_with(".wasm") => served("application/wasm", bytes).into_response(),
        Ok(bytes) => served("text/javascript", bytes).into_response(),
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    };
    Router::new().route("/ort/{name}", get(file))
}

pub fn served(kind: &'static str, body: impl IntoResponse) -> impl IntoResponse {
    let isolated = [
        (header::CONTENT_TYPE, kind),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    ];
    (isolated, body)
}
