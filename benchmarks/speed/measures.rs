//! The measures. Each compares two ways of doing the same within one run, taking turns, so that what else the machine
//! does weighs on both.

use crate::{
    Failed,
    echo::Echo,
    mixed::{bare::BarePages, mix::Mix},
    peer::{BrowserCommand, Peer},
    table::{Bar, Row, median},
    workload::{self, Workload},
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tokio::process::Command;

/// How often the two sides take turns, and how much each does in a turn.
struct Turns {
    /// Before that, until code is compiled and buffers are there.
    warm: usize,
    turns: usize,
    ours: usize,
    peer: usize,
}

/// A round trip through the fleet, over a raw echo and under Playwright's.
pub async fn round_trips(echo: &mut Echo, peer: &mut Peer) -> Result<Vec<Row>, Failed> {
    let fleet = workload::launch(1).await?;
    let mut rows = Vec::new();

    let small = Workload::ready(&fleet, "mlp64").await?;
    let turns = Turns { warm: 4_000, turns: 20, ours: 50, peer: 50 };
    let bars = Bars { echo: 1.5, json: 2.5, base64: 1.2 };
    rows.extend(compare_round_trips(echo, peer, &small, ("mlp64", 64 * 4, SMALL), &turns, &bars).await?);

    let large = Workload::ready(&fleet, "mlp1m").await?;
    let turns = Turns { warm: 50, turns: 10, ours: 10, peer: 2 };
    let bars = Bars { echo: 1.4, json: 50.0, base64: 4.0 };
    rows.extend(compare_round_trips(echo, peer, &large, ("mlp1m", 1 << 20, LARGE), &turns, &bars).await?);

    fleet.close().await?;
    Ok(rows)
}

const SMALL: [&str; 3] = [
    "64 floats: `model.run` over a raw WebSocket echo",
    "64 floats: Playwright with JSON arrays over `model.run`",
    "64 floats: Playwright with base64 over `model.run`",
];
const LARGE: [&str; 3] = [
    "1 MiB: `model.run` over a raw WebSocket echo",
    "1 MiB: Playwright with JSON arrays over `model.run`",
    "1 MiB: Playwright with base64 over `model.run`",
];

struct Bars {
    echo: f64,
    json: f64,
    base64: f64,
}

async fn compare_round_trips(
    echo: &mut Echo,
    peer: &mut Peer,
    ours: &Workload,
    (name, bytes, measures): (&str, usize, [&'static str; 3]),
    turns: &Turns,
    bars: &Bars,
) -> Result<[Row; 3], Failed> {
    let page = peer.open(&workload::folder(name)).await?;
    let mut bare = Echo::running(&peer.folder, &workload::folder(name), &ours.shape()).await?;
    // Everybody's code is compiled as well as it will be, for which a browser waits for thousands of calls, and everybody's
    // buffers are there.
    echo.round_trips(bytes, turns.warm).await?;
    bare.round_trips(bytes, turns.warm).await?;
    ours.round_trips(turns.warm).await?;
    peer.runs("json", page, 1).await?;
    peer.runs("base64", page, 2).await?;

    let (mut raw, mut least, mut full, mut inside) = (vec![], vec![], vec![], vec![]);
    let (mut json, mut base64) = (vec![], vec![]);
    for _ in 0..turns.turns {
        raw.extend(echo.round_trips(bytes, turns.ours).await?);
        least.extend(bare.round_trips(bytes, turns.ours).await?);
        for (all, run) in ours.round_trips(turns.ours).await? {
            full.push(all);
            inside.push(run);
        }
        json.extend(peer.runs("json", page, turns.peer).await?);
        base64.extend(peer.runs("base64", page, turns.peer).await?);
    }
    bare.close().await;
    let [raw, least, full, inside, json, base64] =
        [&raw, &least, &full, &inside, &json, &base64].map(|times| median(times));
    let row = |measure, bar, value, numbers| Row { measure, bar, value, numbers };
    Ok([
        row(
            measures[0],
            Bar::AtMost(bars.echo),
            full / raw,
            format!(
                "{full:.3} ms (in the model {inside:.3}); echo {raw:.3} ms; a bare worker that runs the model on raw \
                 bytes {least:.3} ms, {:.2} of the echo",
                least / raw
            ),
        ),
        row(measures[1], Bar::AtLeast(bars.json), json / full, format!("{json:.2} ms; ours {full:.2} ms")),
        row(measures[2], Bar::AtLeast(bars.base64), base64 / full, format!("{base64:.2} ms; ours {full:.2} ms")),
    ])
}

/// Many jobs in flight over one at a time; and what the raw echo and a bare worker make of the same, which no job can
/// outdo.
pub async fn in_flight(echo: &mut Echo, peers: &Path) -> Result<Row, Failed> {
    let fleet = workload::launch(1).await?;
    let mlp64 = Workload::ready(&fleet, "mlp64").await?;
    let mut bare = Echo::running(peers, &workload::folder("mlp64"), &mlp64.shape()).await?;
    mlp64.rate(10_000, 32).await?;
    bare.rate(64 * 4, 10_000, 32).await?;
    echo.rate(64 * 4, 10_000, 32).await?;
    let (mut one, mut many, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_one, mut bare_many) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        one.push(mlp64.rate(1_000, 1).await?);
        many.push(mlp64.rate(4_000, 32).await?);
        raw.push(echo.rate(64 * 4, 4_000, 32).await?);
        bare_one.push(bare.rate(64 * 4, 1_000, 1).await?);
        bare_many.push(bare.rate(64 * 4, 4_000, 32).await?);
    }
    fleet.close().await?;
    bare.close().await;
    let (one, many, raw) = (median(&one), median(&many), median(&raw));
    let (bare_one, bare_many) = (median(&bare_one), median(&bare_many));
    Ok(Row {
        measure: "throughput with 32 jobs in flight over one at a time, 64 floats, one tab",
        bar: Bar::AtLeast(3.0),
        value: many / one,
        numbers: format!(
            "{many:.0}/s; one at a time {one:.0}/s; a raw echo with 32 in flight {raw:.0}/s; a bare worker that runs \
             the model {bare_many:.0}/s and {bare_one:.0}/s, {:.2} times",
            bare_many / bare_one
        ),
    })
}

/// Two tabs over two loops that never leave their pages; and what bare pages make of the same jobs.
pub async fn two_tabs(peer: &mut Peer) -> Result<Row, Failed> {
    const MODEL: &str = "work3ms";
    let fleet = workload::launch(2).await?;
    let work = Workload::ready(&fleet, MODEL).await?;
    let folder = workload::folder(MODEL);
    let pages = [peer.open(&folder).await?, peer.open(&folder).await?];
    let (mix, workloads) = (Mix::of_one(&folder)?, [work]);
    let mut bare_pages = BarePages::open(&peer.folder, &mix, &workloads, 2).await?;
    let [work] = &workloads;
    work.rate(2_000, 8).await?;
    bare_pages.run(&mix, 2_000).await?;
    peer.loops(&pages, 2_000).await?;
    let (mut ours, mut loops, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..9 {
        ours.push(work.rate(600, 8).await?);
        loops.push(peer.loops(&pages, 1_000).await?);
        bare.push(600.0 / bare_pages.run(&mix, 600).await?.wall_ms * 1e3);
    }
    bare_pages.close().await;
    fleet.close().await?;
    let (ours, loops, bare) = (median(&ours), median(&loops), median(&bare));
    Ok(Row {
        measure: "throughput of two tabs over the sum of two in-page loops, a model of 3 ms",
        bar: Bar::AtLeast(0.9),
        value: ours / loops,
        numbers: format!("{ours:.0}/s; loops {loops:.0}/s; bare pages {bare:.0}/s, {:.2} of the loops", bare / loops),
    })
}

/// From nothing to the first output.
pub async fn first_inference(peer: &mut Peer) -> Result<Row, Failed> {
    let folder = workload::folder("mlp64");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..8 {
        let started = Instant::now();
        let fleet = workload::launch(1).await?;
        Workload::ready(&fleet, "mlp64").await?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        fleet.close().await?;
        let other = peer.first(&folder).await?;
        // The first turn reads the programs from the disk.
        if turn > 0 {
            ours.push(ms);
            theirs.push(other);
        }
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    Ok(Row {
        measure: "launch to first inference over Playwright's",
        bar: Bar::AtMost(1.2),
        value: ours / theirs,
        numbers: format!("{ours:.0} ms; Playwright {theirs:.0} ms"),
    })
}

/// What both sides of the matrix measure need.
pub struct MatrixRun {
    pub program: PathBuf,
    pub peers: PathBuf,
    pub cases: PathBuf,
    pub browser: BrowserCommand,
}

impl MatrixRun {
    /// Cases a second of the whole command, launching and closing included, over the same of a Playwright script.
    pub async fn measure(&self) -> Result<Row, Failed> {
        let count = std::fs::read_dir(&self.cases)?.count() as f64;
        let (mut ours, mut theirs, mut least) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            ours.push(seconds(self.ours(), &self.cases).await?);
            theirs.push(seconds(self.playwright(), &self.cases).await?);
            let mut inside = self.playwright();
            inside.env("PAGES", "2");
            least.push(seconds(inside, &self.cases).await?);
        }
        let [ours, theirs, least] = [&ours, &theirs, &least].map(|times| count / median(times));
        Ok(Row {
            measure: "cases a second of `matrix`, two tabs, over a Playwright script in one page",
            bar: Bar::AtLeast(2.5),
            value: ours / theirs,
            numbers: format!(
                "{ours:.0}/s; Playwright {theirs:.0}/s; two pages that loop over the cases inside, with nothing checked, \
                 {least:.0}/s, {:.2} times Playwright; {count} cases, the whole commands",
                least / theirs
            ),
        })
    }

    fn ours(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("matrix").arg(&self.cases).args(["--targets", "chrome/wasm", "--tabs", "2", "--quiet"]);
        command
    }

    fn playwright(&self) -> Command {
        let mut command = Command::new("node");
        command.arg(self.peers.join("matrix.mjs")).arg(&self.cases).arg(&self.browser.program);
        command.args(&self.browser.flags);
        command
    }
}

async fn seconds(mut command: Command, cases: &Path) -> Result<f64, Failed> {
    let started = Instant::now();
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(format!("{} did not pass: {said}", cases.display()).into());
    }
    Ok(started.elapsed().as_secs_f64())
}
