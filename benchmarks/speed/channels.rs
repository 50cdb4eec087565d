//! Why tabs of one browser hand each other activations directly: a mebibyte from a worker of one tab to a
//! worker of another, through the fleet's process and by the channels that pages have.

use crate::{
    Failed,
    echo::{BareBrowser, served},
    table::{Bar, Row, median},
};
use axum::{Router, routing::get};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::time::{Duration, Instant};
use tabfleet::types::TabId;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

const BYTES: usize = 1 << 20;
const ROUNDS: usize = 12;
const HOPS: usize = 25;

/// A page whose worker gets a port to a broker that all tabs share.
const PAGE: &str = "<!doctype html><title>bare</title><script>
const worker = new Worker('/worker.js', { type: 'module' });
const { port } = new SharedWorker('/broker.js');
worker.postMessage(port, [port]);
</script>";

/// Gives the first two workers the ends of one channel.
const BROKER: &str = "const ports = [];
onconnect = ({ ports: [port] }) => {
  if (ports.push(port) !== 2) return;
  const { port1, port2 } = new MessageChannel();
  ports[0].postMessage(port1, [port1]);
  ports[1].postMessage(port2, [port2]);
};";

/// Eight bytes ask for a mebibyte to be sent, by the way that the first byte names; a mebibyte is answered with eight.
const WORKER: &str = "const made = new Uint8Array(1 << 20).fill(7);
const acknowledge = () => socket.send(new Uint8Array(8));
const broadcast = new BroadcastChannel('activations');
broadcast.onmessage = acknowledge;
const peer = new Promise((resolve) => {
  onmessage = ({ data: broker }) => {
    broker.onmessage = ({ data: port }) => { port.onmessage = acknowledge; resolve(port); };
  };
});
const ways = [
  () => socket.send(made),
  () => broadcast.postMessage(made),
  async () => { const fresh = made.slice(); (await peer).postMessage(fresh, [fresh.buffer]); },
];
const serve = (data) => (data.byteLength === 8 ? ways[new Uint8Array(data)[0]]() : acknowledge());";

type Socket = WebSocketStream<TcpStream>;

/// How a mebibyte goes from tab to tab.
#[derive(Clone, Copy)]
enum Way {
    Fleet = 0,
    Broadcast = 1,
    Port = 2,
}

/// The direct ways over the way through the fleet's process. Stages of a pipeline use ports.
pub async fn measure() -> Result<Row, Failed> {
    let router = Router::new().route("/broker.js", get(async || served("text/javascript", BROKER)));
    let browser = BareBrowser::launch(router, PAGE, WORKER).await?;
    let (mut from, mut to) = (browser.open_tab(TabId(0)).await?, browser.open_tab(TabId(1)).await?);
    let ways = [Way::Fleet, Way::Broadcast, Way::Port];
    let mut times = ways.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let hops = hops(&mut from, &mut to, *way).await?;
            // In the first round buffers and code are made.
            if round > 0 {
                times.extend(hops);
            }
        }
    }
    browser.close().await;
    let [fleet, broadcast, port] = times.each_ref().map(|times| median(times));
    Ok(Row {
        measure: "1 MiB from tab to tab of one browser: the faster direct channel over through the fleet",
        bar: Bar::AtLeast(1.0),
        value: broadcast.min(port) / fleet,
        numbers: format!(
            "through the fleet {fleet:.2} ms; BroadcastChannel {broadcast:.2} ms; MessagePort {port:.2} ms"
        ),
    })
}

/// Milliseconds from asking one tab to send until the other says that it has come.
async fn hops(from: &mut Socket, to: &mut Socket, way: Way) -> Result<Vec<f64>, Failed> {
    let mut times = Vec::with_capacity(HOPS);
    for _ in 0..HOPS {
        let started = Instant::now();
        from.send(Message::Binary(Bytes::copy_from_slice(&[way as u8, 0, 0, 0, 0, 0, 0, 0]))).await?;
        if matches!(way, Way::Fleet) {
            let activations = next(from, BYTES).await?;
            to.send(Message::Binary(activations)).await?;
        }
        next(to, 8).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

async fn next(socket: &mut Socket, bytes: usize) -> Result<Bytes, Failed> {
    match tokio::time::timeout(Duration::from_secs(20), socket.next()).await? {
        Some(Ok(Message::Binary(came))) if came.len() == bytes => Ok(came),
        other => Err(format!("a tab said {other:?}").into()),
    }
}
