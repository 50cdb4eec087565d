//! The Playwright peer (benchmarks/peers/peer.mjs), spoken to in lines of JSON.

use crate::Failed;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// How the peer's browsers are launched.
#[derive(Clone)]
pub struct BrowserCommand {
    pub program: String,
    pub flags: Vec<String>,
}

/// The running peer.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    browser: BrowserCommand,
    /// The peers' folder, ONNX Runtime Web within.
    pub folder: PathBuf,
}

impl Peer {
    /// Starts node and a browser.
    pub async fn start(peers: &Path, browser: BrowserCommand) -> Result<Self, Failed> {
        let mut child = Command::new("node")
            .arg(peers.join("peer.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("node without an input")?;
        let output = BufReader::new(child.stdout.take().ok_or("node without an output")?).lines();
        let mut peer = Self { child, input, output, browser, folder: peers.to_owned() };
        peer.ask(json!({ "command": "launch", "executable": peer.browser.program, "args": peer.browser.flags }))
            .await?;
        Ok(peer)
    }

    /// Opens a page with a session of the case's model; returns the page's number.
    pub async fn open(&mut self, folder: &Path) -> Result<u64, Failed> {
        let page = self.ask(json!({ "command": "open", "folder": folder })).await?;
        page.as_u64().ok_or_else(|| "the peer named no page".into())
    }

    /// Milliseconds of each run whose tensors travel as `json` or `base64`.
    pub async fn runs(&mut self, encoding: &str, page: u64, count: usize) -> Result<Vec<f64>, Failed> {
        Ok(serde_json::from_value(self.ask(json!({ "command": encoding, "page": page, "count": count })).await?)?)
    }

    /// Runs a second of loops in the pages at once; returns their rates' sum.
    pub async fn loops(&mut self, pages: &[u64], ms: u64) -> Result<f64, Failed> {
        let rates: Vec<f64> =
            serde_json::from_value(self.ask(json!({ "command": "loop", "pages": pages, "ms": ms })).await?)?;
        Ok(rates.iter().sum())
    }

    /// Milliseconds from launching another browser to its first output.
    pub async fn first(&mut self, folder: &Path) -> Result<f64, Failed> {
        let BrowserCommand { program, flags } = self.browser.clone();
        let ask = json!({ "command": "first", "executable": program, "args": flags, "folder": folder });
        self.ask(ask).await?.as_f64().ok_or_else(|| "the peer told no time".into())
    }

    /// Ends the browser and node.
    pub async fn close(mut self) -> Result<(), Failed> {
        drop(self.input);
        self.child.wait().await?;
        Ok(())
    }

    async fn ask(&mut self, question: Value) -> Result<Value, Failed> {
        self.input.write_all(format!("{question}\n").as_bytes()).await?;
        let line = self.output.next_line().await?.ok_or("the peer has ended")?;
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(format!("the peer failed: {error}").into()),
            None => Ok(answer["ok"].take()),
        }
    }
}
