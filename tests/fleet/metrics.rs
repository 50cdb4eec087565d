//! What a fleet counts, asked in the program and over HTTP.

use crate::{
    fleets::{PATIENCE, builder},
    models::{self, count, counting},
    processes::within,
};
use std::net::{SocketAddr, TcpListener};
use tabfleet::fleet::{FleetError, MetricName, ModelSpec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the server answers to a path.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// An address that is free just now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fleet_does_is_counted_and_served() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let address = free_address();
    let fleet = builder.configure(|config| config.metrics = Some(address)).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    for _ in 0..3 {
        model.run(count(10, 1.0)).await.unwrap();
    }
    let metrics = fleet.metrics().await.unwrap();
    let number = |name, labels: &[&str]| metrics.get(name, labels);
    assert_eq!(number(MetricName::JobsSubmitted, &[]), Some(3.0), "{metrics}");
    assert_eq!(number(MetricName::JobsEnded, &["result"]), Some(3.0));
    assert_eq!(number(MetricName::AttemptsSucceeded, &["chrome/wasm"]), Some(3.0));
    assert_eq!(number(MetricName::Run, &["chrome/wasm"]), Some(3.0), "three runs were timed");
    assert_eq!(number(MetricName::ModelsLoaded, &["chrome/wasm"]), Some(1.0));
    assert_eq!(number(MetricName::Tabs, &["chrome/wasm", "ready"]), Some(1.0));
    assert_eq!(number(MetricName::JobsUnderWay, &[]), Some(0.0));
    assert_eq!(number(MetricName::Breaker, &["chrome/wasm"]), Some(0.0));
    assert!(number(MetricName::Throughput, &["chrome/wasm"]).is_some_and(|rate| rate > 0.0));

    let answer = within(PATIENCE, "the metrics", get(address, "/metrics")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{answer}");
    for line in ["tabfleet_jobs_submitted_total 3", "tabfleet_attempts_succeeded_total{target=\"chrome/wasm\"} 3"] {
        assert!(answer.lines().any(|told| told == line), "{line} is not in {answer}");
    }
    assert!(get(address, "/health").await.unwrap().starts_with("HTTP/1.1 404"));
    fleet.close().await.unwrap();
    assert!(matches!(fleet.metrics().await, Err(FleetError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_told_before_a_browser_is_launched() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = builder.configure(|config| config.metrics = Some(address)).launch().await.err().unwrap();
    assert!(matches!(error, FleetError::Metrics { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
