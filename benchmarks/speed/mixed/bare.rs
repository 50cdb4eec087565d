//! The same jobs done by bare pages: a worker each, sessions made beforehand, inputs and outputs as raw bytes over a
//! socket of its own. No frames, no headers, no checks, no scheduler: what is left is the browser's.

use super::mix::{Done, Mix};
use crate::{
    Failed,
    echo::{self, BareBrowser, served},
    workload::Workload,
};
use axum::{Router, extract::Path as AxumPath, http::StatusCode, response::IntoResponse, routing::get};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use tabfleet::types::TabId;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// Jobs under way in each page: one that runs, and enough behind it to hide the way there and back.
const AHEAD: usize = 4;

const PAGE: &str = "<!doctype html><title>bare</title><script>new Worker('/worker.js', { type: 'module' })</script>";

/// A message is the model's number in eight bytes and its inputs; an answer is the run's milliseconds, as a double, and the
/// outputs.
const WORKER: &str = "import * as ort from '/ort/ort.wasm.min.mjs';
ort.env.wasm.wasmPaths = '/ort/';
const VIEWS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array };
const sessions = [];
for (const number of MODELS.keys()) {
  sessions.push(await ort.InferenceSession.create(`/model/${number}`, { executionProviders: ['wasm'] }));
}
const run = async (message) => {
  const number = new Uint32Array(message, 0, 1)[0], feeds = {};
  for (const { name, dtype, dims, offset, length } of MODELS[number]) {
    feeds[name] = new ort.Tensor(dtype, new VIEWS[dtype](message, offset, length), dims);
  }
  const started = performance.now();
  const results = await sessions[number].run(feeds);
  const took = performance.now() - started;
  const parts = Object.values(results).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const answer = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 8));
  new DataView(answer.buffer).setFloat64(0, took, true);
  parts.reduce((offset, part) => (answer.set(part, offset), offset + part.length), 8);
  return answer;
};
let last = Promise.resolve();
const serve = (data) => { last = last.then(async () => socket.send(await run(data))); };";

/// Bare pages with the models of a mix loaded.
pub struct BarePages {
    bare: BareBrowser,
    pages: Vec<WebSocketStream<TcpStream>>,
    /// The message of a job of each model.
    messages: Vec<Bytes>,
}

impl BarePages {
    pub async fn open(peers: &Path, mix: &Mix, workloads: &[Workload], pages: usize) -> Result<Self, Failed> {
        let (models, messages): (Vec<_>, Vec<_>) =
            workloads.iter().enumerate().map(|(number, workload)| described(number, workload)).unzip();
        let folders: Vec<_> = mix.0.iter().map(|member| member.folder.clone()).collect();
        let model = async move |AxumPath(number): AxumPath<usize>| {
            let file = folders.get(number).and_then(|folder| std::fs::read(folder.join("model.onnx")).ok());
            file.map(|bytes| served("application/octet-stream", bytes)).ok_or(StatusCode::NOT_FOUND).into_response()
        };
        let router: Router = echo::runtime(peers).route("/model/{number}", get(model));
        let script = WORKER.replace("MODELS", &serde_json::to_string(&models)?);
        let bare = BareBrowser::launch(router, PAGE, &script).await?;
        let mut opened = Vec::new();
        for page in 0..pages {
            opened.push(bare.open_tab(TabId(page as u64)).await?);
        }
        Ok(Self { bare, pages: opened, messages })
    }

    /// Runs so many jobs: each page takes the next when it has room.
    pub async fn run(&mut self, mix: &Mix, jobs: usize) -> Result<Done, Failed> {
        let (next, messages) = (AtomicUsize::new(0), &self.messages);
        let started = Instant::now();
        let pages = self.pages.iter_mut().map(async |socket| -> Result<Vec<(usize, f64)>, Failed> {
            let (mut sent, mut runs) = (Vec::new(), Vec::new());
            loop {
                while sent.len() - runs.len() < AHEAD {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        break;
                    }
                    sent.push(mix.model_of(job));
                    socket.send(Message::Binary(messages[mix.model_of(job)].clone())).await?;
                }
                if runs.len() == sent.len() {
                    return Ok(runs);
                }
                let answer = socket.next().await.ok_or("a bare page has ended")??.into_data();
                let took = answer.first_chunk().ok_or("a bare page answered with too little")?;
                runs.push((sent[runs.len()], f64::from_le_bytes(*took)));
            }
        });
        let runs = futures::future::try_join_all(pages).await?;
        let mut done = Done { wall_ms: started.elapsed().as_secs_f64() * 1e3, ..Done::default() };
        for (model, run_ms) in runs.into_iter().flatten() {
            done.busy_ms += run_ms;
            done.runs_ms.entry(model).or_default().push(run_ms);
        }
        Ok(done)
    }

    pub async fn close(self) {
        self.bare.close().await;
    }
}

/// How a model's message is read, and the message.
fn described(number: usize, workload: &Workload) -> (serde_json::Value, Bytes) {
    let mut message = BytesMut::new();
    message.put_u64_le(number as u64);
    let inputs = workload.inputs.iter().map(|(name, tensor)| {
        message.put_bytes(0, message.len().next_multiple_of(8) - message.len());
        let (offset, dims) = (message.len(), tensor.shape());
        message.put_slice(tensor.bytes());
        json!({ "name": name, "dtype": tensor.dtype(), "dims": dims, "offset": offset, "length": tensor.len() })
    });
    (inputs.collect(), message.freeze())
}
