//! Sample data, made up, to see how reports are rendered. No number in here was ever measured.

mod health;
mod next;
mod shard;

pub(super) use health::health;
pub(super) use next::{cases, next_matrix, nights};
pub(super) use shard::shard;

use super::{
    BadJob, Badness, BenchFailure, BenchReport, BenchSeries, BenchStage, CaseResult, ChaosJobs, ChaosReport,
    Comparison, DoctorReport, ErrorRow, InjectionRow, LeftOut, MatrixReport, Missing, ModeRow, TargetRow,
};
use crate::{
    host::Host,
    types::{
        Adapter, Browser, Category, FailureMode, Family, Identity, RuntimeInfo, TabId, Target, TargetInfo, Verdict,
    },
};
use time::OffsetDateTime;

fn at(unix_seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap()
}

pub(super) fn target(name: &str) -> Target {
    name.parse().unwrap()
}

pub(super) fn host() -> Host {
    Host {
        os: "linux".into(),
        os_version: Some("Sample Linux 1".into()),
        arch: "x86_64".into(),
        cpu: Some("Sample CPU".into()),
        cores: Some(2),
        memory_bytes: Some(16 << 30),
    }
}

fn identity(browser: Browser) -> Identity {
    let (product, version, driver) = match browser {
        Browser::Chrome => ("Chrome", "156.0.1.2", "cdp 1.3"),
        Browser::Edge => ("HeadlessChrome", "147.0.3.4", "cdp 1.3"),
        Browser::Firefox => ("firefox", "153.1.0", "geckodriver 0.37.1"),
        Browser::Webkit => ("WebKitGTK MiniBrowser", "2.50.4", "WebKitWebDriver 2.50.4"),
    };
    Identity {
        browser,
        product: product.into(),
        version: version.into(),
        headless: browser != Browser::Webkit,
        driver: driver.into(),
        stand_in: browser == Browser::Edge,
    }
}

fn adapter(browser: Browser) -> Adapter {
    let (vendor, architecture, description) = match browser {
        Browser::Firefox => ("", "", "llvmpipe (sample)"),
        _ => ("google", "swiftshader", ""),
    };
    Adapter {
        vendor: vendor.into(),
        architecture: architecture.into(),
        device: String::new(),
        description: description.into(),
        software: Some(true),
    }
}

/// Eight targets that work, with a stand-in and software adapters, and two that do not.
pub(super) fn targets() -> Vec<TargetRow> {
    let works = |name: &str| {
        let target = target(name);
        let gpu = target.backend.name() == "webgpu";
        TargetInfo {
            target,
            identity: Some(identity(target.browser)),
            available: true,
            reason: None,
            adapter: gpu.then(|| adapter(target.browser)),
            webnn_device: (target.backend.name() == "webnn").then(|| "cpu".into()),
            runtime: Some(RuntimeInfo { name: "onnxruntime-web".into(), version: "1.30.0".into() }),
            threads: Some(2),
        }
    };
    let fails = |name: &str, reason: &str| {
        let target = target(name);
        TargetInfo {
            target,
            identity: (target.browser == Browser::Chrome).then(|| identity(target.browser)),
            available: false,
            reason: Some(reason.into()),
            adapter: None,
            webnn_device: None,
            runtime: None,
            threads: None,
        }
    };
    let infos = [
        works("chrome/webgpu"),
        fails("chrome/webnn", "NotSupportedError: this Chromium is built without WebNN"),
        works("chrome/wasm"),
        works("edge/webgpu"),
        works("edge/webnn"),
        works("edge/wasm"),
        works("firefox/webgpu"),
        works("firefox/wasm"),
        works("webkit/wasm"),
        fails("webkit/webgpu", "no WebGPU in WebKitGTK 2.50"),
    ];
    infos.iter().map(TargetRow::from).collect()
}

pub(super) fn result(case: &str, name: &str, verdict: Verdict) -> CaseResult {
    let ran = matches!(verdict, Verdict::Pass | Verdict::Wrong);
    let tried = verdict.is_tried();
    let spread = (case.len() * 7 + name.len() * 13) % 29;
    let fail = |category, message: &str| Some(ErrorRow { category, message: message.into() });
    CaseResult {
        family: Some(Family::Vision),
        attempts: if !tried {
            0
        } else if verdict == Verdict::Crash {
            3
        } else {
            1
        },
        cpu_fallback: ran.then_some(name.ends_with("webgpu") && case.contains("resize")),
        load_ms: ran.then_some(4.25 + spread as f64),
        run_ms: ran.then_some(rounded(0.5 * 1.4_f64.powi(spread as i32))),
        max_abs_error: ran.then_some(if verdict == Verdict::Wrong { 0.75 } else { 1.5e-7 }),
        max_rel_error: ran.then_some(if verdict == Verdict::Wrong { 0.31 } else { 2.5e-6 }),
        error: match verdict {
            Verdict::Pass => None,
            Verdict::Wrong => fail(Category::Inference, "output `y`: 12 of 240 elements outside tolerance (sample)"),
            Verdict::LoadError => fail(Category::Session, "no kernel for <Op> & \"Attention\" (sample)\nsecond line"),
            Verdict::RunError => fail(Category::Inference, "shape mismatch at node 7 (sample)"),
            Verdict::Crash => fail(Category::Connection, "the tab's renderer died (sample)"),
            Verdict::DeviceLost => fail(Category::Session, "GPUDevice lost (sample)"),
            Verdict::Timeout => fail(Category::Timeout, "no answer within 30 s (sample)"),
            Verdict::Skipped => fail(Category::Inference, "uses sequence inputs (sample)"),
            Verdict::Unavailable => None,
        },
        ..CaseResult::new("sample", case, target(name).into(), verdict)
    }
}

/// JSON read back may be off by the last bit of a long number.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

const NAMES: [&str; 12] = [
    "add",
    "attention",
    "conv_2d",
    "gelu",
    "gemm",
    "layer_norm",
    "lstm",
    "max_pool",
    "resize_linear",
    "softmax",
    "string_split",
    "top_k",
];

/// Twelve cases on ten targets, with every verdict among them.
pub(super) fn matrix() -> MatrixReport {
    let targets = targets();
    let mut results = Vec::new();
    for case in NAMES {
        for row in targets.iter().filter(|row| row.available) {
            let name = row.target.to_string();
            let verdict = match (case, name.as_str()) {
                ("string_split", _) => Verdict::Skipped,
                ("attention", "edge/webnn") => Verdict::LoadError,
                ("lstm", "edge/webnn") => Verdict::Timeout,
                ("lstm", "chrome/webgpu") => Verdict::DeviceLost,
                ("gemm", "edge/webnn") => Verdict::Crash,
                ("top_k", "firefox/webgpu") => Verdict::Wrong,
                ("gelu", "edge/webnn") => Verdict::RunError,
                _ => Verdict::Pass,
            };
            results.push(result(case, &name, verdict));
        }
    }
    // One is still to come.
    results.pop();
    MatrixReport {
        tabfleet: "0.0.0-sample".into(),
        started: at(1_767_323_045),
        finished: Some(at(1_767_323_106)),
        run: Some("00000000deadbeef".into()),
        ci: None,
        expectations: None,
        tolerance: None,
        host: host(),
        suites: Vec::new(),
        cases: Vec::new(),
        failed_before: Vec::new(),
        targets,
        results,
    }
}

/// `cases` cases on eight targets, about one in ten not passing.
pub(super) fn large_matrix(cases: usize) -> MatrixReport {
    let mut report = matrix();
    report.results.clear();
    let targets: Vec<String> =
        report.targets.iter().filter(|row| row.available).map(|row| row.target.to_string()).collect();
    for number in 0..cases {
        for (column, name) in targets.iter().enumerate() {
            let verdict = match (number * 31 + column * 17 + number / 7) % 40 {
                0 => Verdict::Wrong,
                1 => Verdict::LoadError,
                2 => Verdict::Timeout,
                3 => Verdict::Skipped,
                _ => Verdict::Pass,
            };
            let case = format!("test_{}_{number:04}_expanded", NAMES[number % NAMES.len()]);
            let mut result = result(&case, name, verdict);
            if let Some(error) = &mut result.error {
                error.message.push_str(&format!("\nframe {number} of the sample's stack").repeat(8));
            }
            result.run_ms = result.run_ms.map(|ms| rounded(ms * (1.0 + number as f64 / 977.0)));
            report.results.push(result);
        }
    }
    report.cases = next::cases(&report);
    report
}

pub(super) fn bench() -> BenchReport {
    let series = |model: &str, name: &str, concurrency, median_ms: f64, enough: bool| BenchSeries {
        model: model.into(),
        family: Some(Family::Text),
        target: target(name),
        concurrency,
        samples: if enough { 120 } else { 8 },
        warmup: 3,
        load_ms: Some(rounded(median_ms * 9.0)),
        median_ms,
        median_ci: enough.then_some([0.98, 1.03].map(|factor| rounded(median_ms * factor))),
        p95_ms: Some(rounded(median_ms * 1.4)),
        p99_ms: enough.then_some(rounded(median_ms * 2.0)),
        mean_ms: Some(rounded(median_ms * 1.1)),
        throughput_per_s: Some(rounded(1000.0 / median_ms * concurrency as f64)),
        cpu_fallback: Some(name == "edge/webnn"),
        stopped_by: if enough { "precision" } else { "time-limit" }.into(),
        samples_ms: [0.9, 1.0, 1.1].map(|factor| rounded(median_ms * factor)).into(),
        stages: Vec::new(),
    };
    let stage =
        |tab, median_ms, direct_bytes| BenchStage { target: target("chrome/wasm"), tab, median_ms, direct_bytes };
    let comparison = |a: &str, b: &str, ratio, p_value| Comparison {
        model: "sample-encoder".into(),
        a: target(a),
        b: target(b),
        ratio,
        p_value,
        p_adjusted: rounded(p_value * 2.0),
        significant: p_value < 0.025,
    };
    BenchReport {
        tabfleet: "0.0.0-sample".into(),
        started: at(1_767_323_045),
        host: host(),
        targets: targets(),
        series: vec![
            series("sample-encoder", "chrome/wasm", 1, 12.34, true),
            series("sample-encoder", "chrome/webgpu", 1, 4.5, true),
            series("sample-encoder", "edge/webnn", 4, 1234.5, false),
            BenchSeries {
                stages: vec![stage(TabId(1), 31.5, 0), stage(TabId(2), 29.0, 786_432)],
                ..series("sample-decoder", "chrome/wasm", 4, 60.5, true)
            },
            series("sample-decoder", "firefox/wasm", 1, 0.0421, true),
        ],
        comparisons: vec![
            comparison("chrome/webgpu", "chrome/wasm", 0.365, 1e-9),
            comparison("chrome/webgpu", "edge/webnn", 0.98, 0.4),
        ],
        failures: vec![BenchFailure {
            model: "sample-decoder".into(),
            target: target("edge/webnn"),
            category: Category::Timeout,
            message: "no answer within 30 s (sample)".into(),
        }],
    }
}

pub(super) fn chaos() -> ChaosReport {
    let mode = |mode, injected: u64, detected: u64, ms: f64, told_as: &[(&str, u64)]| ModeRow {
        mode,
        skipped: None,
        injected,
        detected,
        detection_p50_ms: (detected > 0).then_some(ms),
        detection_p99_ms: (detected > 0).then_some(rounded(ms * 1.9)),
        recovered: injected,
        recovery_p50_ms: Some(rounded(ms * 30.0)),
        recovery_p99_ms: Some(rounded(ms * 41.0)),
        lost: u64::from(mode == FailureMode::Hang),
        wrong: 0,
        doubled: 0,
        told_as: told_as.iter().map(|(told, count)| ((*told).to_owned(), *count)).collect(),
    };
    let skipped = ModeRow {
        skipped: Some("chrome: it is driven over CDP, without a driver process (sample)".into()),
        recovered: 0,
        recovery_p50_ms: None,
        recovery_p99_ms: None,
        ..mode(FailureMode::DriverKill, 0, 0, 0.0, &[])
    };
    ChaosReport {
        tabfleet: "0.0.0-sample".into(),
        elapsed_ms: 61_234.5,
        targets: targets(),
        host: host(),
        jobs: ChaosJobs { submitted: 4321, answered: 4320, retried: 17, lost: 1, ..ChaosJobs::default() },
        modes: vec![
            mode(FailureMode::TabCrash, 110, 110, 31.0, &[("tab-crashed", 108), ("socket-closed", 2)]),
            mode(FailureMode::Hang, 2, 0, 333.0, &[]),
            skipped,
        ],
        injections: vec![InjectionRow {
            mode: FailureMode::TabCrash,
            browser: "chrome browser-1".into(),
            what: "renderer 4242 was killed".into(),
            at_ms: 1234.5,
            detected_ms: Some(31.0),
            told_as: Some("tab-crashed".into()),
            recovered_ms: None,
        }],
        bad_jobs: vec![BadJob {
            badness: Badness::Lost,
            job: "sample-encoder".into(),
            at_ms: 43_210.0,
            mode: Some(FailureMode::Hang),
            message: "sample-encoder: no answer in time (timeout)\n  attempt 1: chrome/wasm after 30000 ms".into(),
        }],
        left_out: vec![LeftOut {
            case: "sample/attention".into(),
            target: Some(target("edge/webnn")),
            reason: "the model cannot be loaded (sample)".into(),
        }],
        ..ChaosReport::new(at(1_767_323_045), 7, 0.05)
    }
}

pub(super) fn doctor() -> DoctorReport {
    DoctorReport {
        tabfleet: "0.0.0-sample".into(),
        host: host(),
        targets: targets(),
        missing: vec![Missing {
            browser: Browser::Webkit,
            what: "WebKitWebDriver".into(),
            hint: "apt install webkit2gtk-driver".into(),
        }],
    }
}
