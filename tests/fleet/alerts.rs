//! Who watches a fleet is told when what it runs fails.

use crate::{
    fleets::{PATIENCE, builder},
    models,
    processes::within,
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tabfleet::{
    FleetError, ModelSpec,
    fleet::AlertConfig,
    types::{Dtype, Tensor},
};
use tokio::sync::mpsc;

/// Takes nothing at first: the first POST is answered 503.
async fn server() -> (url::Url, mpsc::UnboundedReceiver<Value>) {
    let (sender, taken) = mpsc::unbounded_channel();
    let mut first = true;
    let (posts, mut inbox) = mpsc::unbounded_channel::<(Bytes, tokio::sync::oneshot::Sender<StatusCode>)>();
    tokio::spawn(async move {
        while let Some((body, answer)) = inbox.recv().await {
            let status =
                if std::mem::take(&mut first) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT };
            sender.send(serde_json::from_slice(&body).unwrap()).unwrap();
            answer.send(status).unwrap();
        }
    });
    let take = |State(posts): State<mpsc::UnboundedSender<_>>, body: Bytes| async move {
        let (answer, status) = tokio::sync::oneshot::channel();
        posts.send((body, answer)).unwrap();
        status.await.unwrap()
    };
    let router = Router::new().route("/hook", post(take)).with_state(posts);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_attempts_are_posted_to_the_webhook() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let (url, mut taken) = server().await;
    let alerts = AlertConfig { minimum_attempts: 3, webhook: Some(url), ..AlertConfig::default() };
    let fleet = builder.alerts(alerts).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    models::save(folder.path(), "unknown.onnx", &models::unary("NoSuchOperator", Dtype::Float32, 1));
    let model = fleet.get_model(ModelSpec::onnx(folder.path().join("unknown.onnx"))).await.unwrap();
    for _ in 0..3 {
        let x = Tensor::from_values([1], &[1.0_f32]).unwrap();
        let error = model.run([("x", x)]).await.unwrap_err();
        assert_eq!(error.attempts.len(), 1, "{error}");
    }
    let refused = within(PATIENCE, "the first try", taken.recv()).await.unwrap();
    let alert = within(PATIENCE, "the second try", taken.recv()).await.unwrap();
    assert_eq!(refused, alert);
    let numbers = ["failed", "attempts"].map(|name| alert[name].as_u64());
    assert_eq!((alert["alert"].as_str(), numbers), (Some("error-rate"), [Some(3), Some(3)]), "{alert}");
    assert_eq!(alert["target"], "chrome/wasm", "{alert}");
    assert_eq!(alert["failure"]["cause"], "model-load", "{alert}");
    fleet.close().await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_cannot_be_posted_to_is_refused_before_anything_is_launched() {
    let config = AlertConfig { webhook: "https://127.0.0.1/".parse().ok(), ..AlertConfig::default() };
    let launched = tabfleet::Fleet::builder().browsers([tabfleet::Browser::Chrome]).alerts(config).launch().await;
    let error = launched.expect_err("it speaks no TLS");
    assert!(matches!(error, FleetError::Alerts(_)), "{error}");
}
