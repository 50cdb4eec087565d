//! The catalogue's flags and prefs do what they are there for: in each browser, a worker of a cross-origin isolated
//! page is given the backends that the browser has.

use crate::{
    pages::{Started, start},
    processes::within,
};
use axum::{
    Router,
    extract::{Query, State},
    http::header::CONTENT_TYPE,
    response::IntoResponse,
    routing::get,
};
use std::{collections::HashMap, time::Duration};
use tabfleet::types::{Browser, TabId};
use tokio::sync::mpsc;

const WORKER: &str = r#"
const tried = async (what) => { try { return String(await what()) } catch (error) { return `no: ${error}` } };
const webgpu = await tried(async () => {
    let adapter = null;
    // While its GPU process starts, a busy Chromium offers none (see webgpu.ts).
    for (let asked = 0; adapter === null && asked < 50; asked++) {
        if (asked > 0) await new Promise((resolve) => setTimeout(resolve, 100));
        adapter = await navigator.gpu.requestAdapter();
    }
    await adapter.requestDevice();
    return `yes: ${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.description}`;
});
const webnn = await tried(async () => (await navigator.ml.createContext({ deviceType: "cpu" })) && "yes");
const threads = await tried(async () => crossOriginIsolated && new SharedArrayBuffer(8) && "yes");
fetch("/said?" + new URLSearchParams({ webgpu, webnn, threads }));
"#;

/// What the worker says of its backends.
async fn backends(browser: Browser) -> Option<HashMap<String, String>> {
    type Said = HashMap<String, String>;
    let (sender, mut said) = mpsc::unbounded_channel();
    let isolated = |content_type: &'static str, body: &'static str| {
        let headers = [
            (CONTENT_TYPE.as_str(), content_type),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
        ];
        get(move || async move { (headers, body).into_response() })
    };
    let hear = |State(sender): State<mpsc::UnboundedSender<Said>>, Query(said): Query<Said>| async move {
        let _ = sender.send(said);
    };
    let page = r#"<!doctype html><script>new Worker("/worker.js", { type: "module" })</script>"#;
    let router = Router::new()
        .route("/", isolated("text/html", page))
        .route("/worker.js", isolated("text/javascript", WORKER))
        .route("/said", get(hear))
        .with_state(sender);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let Started { browser: running, .. } = start(browser).await?;
    running.open_tab(TabId(1), &url).await.unwrap();
    let said = within(Duration::from_secs(60), "the worker's word", said.recv()).await.unwrap();
    println!("{browser} on {}: {said:?}", running.gpu());
    running.close().await;
    Some(said)
}

fn has(said: &HashMap<String, String>, backend: &str) -> bool {
    said[backend].starts_with("yes")
}

#[tokio::test(flavor = "multi_thread")]
async fn chrome_has_webgpu_and_threads() {
    let Some(said) = backends(Browser::Chrome).await else { return };
    assert!(has(&said, "webgpu") && has(&said, "threads"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_has_webgpu_webnn_and_threads() {
    let Some(said) = backends(Browser::Edge).await else { return };
    assert!(has(&said, "webgpu") && has(&said, "webnn") && has(&said, "threads"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_has_webgpu_and_threads() {
    let Some(said) = backends(Browser::Firefox).await else { return };
    assert!(has(&said, "webgpu") && has(&said, "threads"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_has_threads() {
    let Some(said) = backends(Browser::Webkit).await else { return };
    assert!(has(&said, "threads"), "{said:?}");
}
