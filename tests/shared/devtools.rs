//! Somebody else at a browser's DevTools: a page driven, a tab sent elsewhere, a worker that talks rubbish.
#![allow(dead_code, reason = "each test program drives pages in its own way")]

use crate::processes::{Remains, within};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// On a busy machine with two cores everything takes many times as long as it should.
const PATIENCE: Duration = Duration::from_secs(90);

/// A DevTools session with one page of a Chromium.
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    id: u64,
}

impl Page {
    /// The page below `origin` of the browser with this main process.
    pub async fn of(browser: u32, origin: &str) -> Self {
        let remains = Remains::of_process(browser);
        let targets: Value = serde_json::from_str(&remains.ask_devtools("/json/list").await).unwrap();
        let is_ours = |target: &&Value| target["type"] == "page" && target["url"].as_str().unwrap().starts_with(origin);
        let ours = targets.as_array().unwrap().iter().find(is_ours).expect("the page");
        let id = ours["id"].as_str().unwrap();
        let (socket, _) =
            connect_async(format!("ws://{}/devtools/page/{id}", remains.devtools_address())).await.unwrap();
        Self { socket, id: 0 }
    }

    async fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.id += 1;
        let mut command = json!({ "id": self.id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        self.id
    }

    /// Waits for the next message that is picked.
    async fn next<T>(&mut self, what: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        let picked = async {
            loop {
                let message = self.socket.next().await.expect("DevTools closed").unwrap();
                let Message::Text(text) = message else { continue };
                if let Some(picked) = pick(&serde_json::from_str(&text).unwrap()) {
                    return picked;
                }
            }
        };
        within(PATIENCE, what, picked).await
    }

    /// Sends the tab to another page.
    pub async fn navigate(mut self, url: &str) {
        let id = self.send(None, "Page.navigate", json!({ "url": url })).await;
        self.next("the navigation", |message| (message["id"] == id).then_some(())).await;
    }

    /// What a script of one expression comes to, a promise's value included.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let id = self.send(None, "Runtime.evaluate", params).await;
        let answer = self.next("the script", |message| (message["id"] == id).then(|| message.clone())).await;
        assert!(answer["result"]["exceptionDetails"].is_null() && answer["error"].is_null(), "{expression}: {answer}");
        answer["result"]["result"]["value"].clone()
    }

    /// Does what a command of the protocol says.
    pub async fn command(&mut self, method: &str, params: Value) {
        let id = self.send(None, method, params).await;
        let answer = self.next(method, |message| (message["id"] == id).then(|| message.clone())).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
    }

    /// Waits until the page's text is what it should be.
    pub async fn shows(&mut self, what: &str, is_right: impl Fn(&str) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let id = self.send(None, "Runtime.evaluate", json!({ "expression": "document.body.innerText" })).await;
            let answer = self.next("the page", |message| (message["id"] == id).then(|| message.clone())).await;
            let text = answer["result"]["result"]["value"].as_str().unwrap();
            if is_right(text) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "the page does not show {what}, but:\n{text}");
        }
    }

    /// Runs a script in the page's worker.
    pub async fn in_worker(mut self, script: &str) {
        let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true });
        self.send(None, "Target.setAutoAttach", attach).await;
        let worker = |message: &Value| {
            let attached = message["method"] == "Target.attachedToTarget";
            let is_worker = message["params"]["targetInfo"]["type"] == "worker";
            (attached && is_worker).then(|| message["params"]["sessionId"].as_str().unwrap().to_owned())
        };
        let session = self.next("the worker", worker).await;
        let id = self.send(Some(&session), "Runtime.evaluate", json!({ "expression": script })).await;
        let answer = self.next("the script", |message| (message["id"] == id).then(|| message.clone())).await;
        assert!(answer["result"]["exceptionDetails"].is_null() && answer["error"].is_null(), "{answer}");
    }
}
