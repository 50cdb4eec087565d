//! What happens on a tab's socket.

use super::client::{Signals, Tab, get, hello, invited, token};
use crate::{
    harness::{
        CpuFallback, LinkClosed, ModelFiles, RunRequest, ServedFile, StartOptions, TabMessage, TabSignal,
        TabSignalKind, TensorBatch, WebnnDevice, frame::Frame,
    },
    types::{Backend, Cause, Dtype, Failure, Tensor, TensorInfo},
};
use serde_json::{Map, json};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

async fn disconnected(signals: &mut Signals) -> (u64, Failure) {
    match signals.recv().await {
        Some(TabSignal { connection, kind: TabSignalKind::Disconnected(failure), .. }) => (connection, failure),
        other => panic!("{other:?}"),
    }
}

async fn message(signals: &mut Signals) -> TabMessage {
    match signals.recv().await {
        Some(TabSignal { kind: TabSignalKind::Message(message), .. }) => message,
        other => panic!("{other:?}"),
    }
}

fn model() -> Arc<ModelFiles> {
    Arc::new(ModelFiles {
        key: "m1".to_owned(),
        name: "a model".to_owned(),
        files: vec![ServedFile { path: "model.onnx".to_owned(), sha256: "0a".to_owned(), bytes: 5 }],
        cpu_fallback: CpuFallback::Forbid,
        session_options: Map::new(),
    })
}

#[tokio::test]
async fn strangers_are_refused() {
    let (server, invitation, mut signals) = invited().await;
    let secret = token(&invitation);
    assert_eq!(Tab::try_connect(&server, "wrong", server.origin()).await.err(), Some(404));
    assert_eq!(Tab::try_connect(&server, &secret, "http://elsewhere.example").await.err(), Some(403));
    assert_eq!(Tab::try_connect(&server, &secret, "null").await.err(), Some(403));
    let path = format!("/socket?token={secret}");
    assert_eq!(get(&server, &path, "rebound.example", "").await.status(), "421");
    let host = server.origin().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(get(&server, &path, &host, "").await.status(), "403", "no origin");
    assert!(signals.try_recv().is_err());
    let other = server.invite(crate::types::TabId(8), tokio::sync::mpsc::unbounded_channel().0);
    assert_ne!(token(&other), secret);
    assert_eq!(secret.len(), 32);
}

#[tokio::test]
async fn a_tab_introduces_itself_and_is_asked_to_work() {
    let (server, invitation, mut signals) = invited().await;
    let mut tab = Tab::connect(&server, &invitation).await;
    tab.say(hello()).await;
    let signal = signals.recv().await.unwrap();
    assert_eq!((signal.tab.0, signal.connection), (7, 1));
    let TabSignalKind::Connected { hello, link } = signal.kind else { panic!("{:?}", signal.kind) };
    assert_eq!((hello.user_agent.as_str(), hello.hardware_concurrency, hello.worker), ("a protocol test", 2, 1));
    assert!(hello.cross_origin_isolated);

    link.probe(1).unwrap();
    assert_eq!(tab.hear_header().await, json!({"v": 1, "type": "probe", "id": 1}));
    let options =
        StartOptions { backend: Backend::Webnn, webnn_device: WebnnDevice::Npu, threads: 0, custom_runtime: true };
    link.start(2, &options).unwrap();
    let runtime = format!("{}/runtime/custom.js", server.origin());
    assert_eq!(
        tab.hear_header().await,
        json!({"v": 1, "type": "start", "id": 2, "backend": "webnn", "webnn_device": "npu", "threads": 0,
               "runtime": runtime, "max_frame_bytes": 1 << 30})
    );

    // Declared before its first use on this connection, and not again until it was released.
    let declaration = json!({"v": 1, "type": "model", "model": "m1", "name": "a model",
        "files": [{"path": "model.onnx", "url": format!("{}/models/0a", server.origin()), "bytes": 5}],
        "cpu_fallback": "forbid", "session_options": {}});
    link.load(3, &model(), None).unwrap();
    let zeros = [TensorInfo { name: "x".to_owned(), dtype: Dtype::Float32, shape: vec![1, 3], bytes: 12 }];
    link.load(4, &model(), Some(&zeros)).unwrap();
    link.release(5, "m1").unwrap();
    link.load(6, &model(), None).unwrap();
    assert_eq!(tab.hear_header().await, declaration);
    assert_eq!(tab.hear_header().await, json!({"v": 1, "type": "load", "id": 3, "model": "m1"}));
    assert_eq!(
        tab.hear_header().await,
        json!({"v": 1, "type": "load", "id": 4, "model": "m1",
        "zeros": [{"name": "x", "dtype": "float32", "shape": [1, 3], "bytes": 12}]})
    );
    assert_eq!(tab.hear_header().await, json!({"v": 1, "type": "release", "id": 5, "model": "m1"}));
    assert_eq!(tab.hear_header().await, declaration);
    assert_eq!(tab.hear_header().await, json!({"v": 1, "type": "load", "id": 6, "model": "m1"}));

    link.ping(7).unwrap();
    assert_eq!(tab.hear_header().await, json!({"v": 1, "type": "ping", "id": 7}));
    tab.say(json!({"type": "pong", "id": 7, "heap_bytes": null})).await;
    assert_eq!(message(&mut signals).await, TabMessage::Pong { id: 7, heap_bytes: None });
}

#[tokio::test]
async fn a_run_carries_its_tensors_both_ways_without_changing_a_byte() {
    let (server, invitation, mut signals) = invited().await;
    let (mut tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    let x = Tensor::from_values([3], &[1.5_f32, -2.0, 0.25]).unwrap();
    let ids = Tensor::from_values([1, 2], &[1_i64, -1]).unwrap();
    let inputs = TensorBatch::encode([("x", &x), ("ids", &ids)]);
    let run = RunRequest { inputs: inputs.clone(), outputs: Some(vec!["y".to_owned()]), release: true, state: None };
    link.run(9, &model(), &run).unwrap();
    assert_eq!(tab.hear_header().await["type"], "model");
    let sent = Frame::split(tab.hear().await).unwrap();
    assert_eq!(
        sent.parse::<serde_json::Value>().unwrap(),
        json!({"v": 1, "type": "run", "id": 9, "model": "m1",
            "inputs": [{"name": "x", "dtype": "float32", "shape": [3], "bytes": 12},
                       {"name": "ids", "dtype": "int64", "shape": [1, 2], "bytes": 16}],
            "outputs": ["y"], "release": true})
    );
    assert_eq!(sent.tensors(inputs.infos().to_vec()).unwrap(), inputs);

    tab.say_with(
        json!({"type": "result", "id": 9, "outputs": inputs.infos(), "run_ms": 0.5, "readback_ms": null,
        "load": {"download_ms": 1.0, "create_ms": 2.0, "cpu_fallback": null, "inputs": ["x"], "outputs": ["y"]}}),
        &inputs,
    )
    .await;
    let TabMessage::Result { id: 9, result } = message(&mut signals).await else { panic!("no result") };
    assert_eq!((result.run_ms, result.readback_ms), (0.5, None));
    assert_eq!(result.load.unwrap().create_ms, 2.0);
    let outputs = result.outputs.tensors().unwrap();
    assert_eq!(outputs[0], ("x".to_owned(), x));
    assert_eq!(outputs[1], ("ids".to_owned(), ids));

    // The run released the session, so the model is declared again.
    link.load(10, &model(), None).unwrap();
    assert_eq!(tab.hear_header().await["type"], "model");
}

#[tokio::test]
async fn a_large_frame_and_many_small_ones_arrive_whole_and_in_order() {
    let (server, invitation, mut signals) = invited().await;
    let (mut tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    let x = Tensor::from_values([4 << 20], &vec![0.5_f32; 4 << 20]).unwrap();
    let inputs = TensorBatch::encode([("x", &x)]);
    link.run(0, &model(), &RunRequest { inputs: inputs.clone(), outputs: None, release: false, state: None }).unwrap();
    for id in 1..=500 {
        link.ping(id).unwrap();
    }
    assert_eq!(tab.hear_header().await["type"], "model");
    let sent = Frame::split(tab.hear().await).unwrap();
    assert!(sent.tensors(inputs.infos().to_vec()).unwrap() == inputs, "the tensor arrived changed");
    for id in 1..=500 {
        assert_eq!(tab.hear_header().await["id"], id);
    }
    let result =
        json!({"type": "result", "id": 0, "outputs": inputs.infos(), "run_ms": 1, "readback_ms": 2, "load": null});
    tab.say_with(result, &inputs).await;
    let TabMessage::Result { result, .. } = message(&mut signals).await else { panic!("no result") };
    assert!(result.outputs == inputs, "the tensor came back changed");
}

#[tokio::test]
async fn rubbish_closes_the_socket_and_is_told() {
    let rubbish = [
        (Message::Binary(vec![1, 2, 3].into()), 1002, "4"),
        (Message::Binary(vec![0xff; 64].into()), 1002, "header"),
        (Message::Text("hello".into()), 1002, "text"),
        (Message::Binary(crate::harness::frame::join(&json!({"type": "dance"}), &[])), 1002, "dance"),
        (Message::Binary(crate::harness::frame::join(&json!({"type": "pong"}), &[])), 1002, "id"),
        (Message::Binary(crate::harness::frame::join(&hello(), &[])), 1002, "second"),
        (Message::Binary(crate::harness::frame::join(&json!({"type": "pong", "id": 1}), &[0])), 1002, "bytes"),
        (Message::Binary(b"\x11\0\0\0{\"v\":2,\"type\":1}\n".to_vec().into()), 4001, "version 2"),
    ];
    for (rubbish, code, word) in rubbish {
        let (server, invitation, mut signals) = invited().await;
        let (mut tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
        tab.send(rubbish.clone()).await;
        let (connection, failure) = disconnected(&mut signals).await;
        assert_eq!((connection, failure.cause), (1, Cause::BadFrame), "{rubbish:?}");
        assert!(failure.message.contains(word), "{rubbish:?}: {failure}");
        assert_eq!(link.ping(1), Err(LinkClosed));
        let (closed, reason) = tab.closed().await;
        assert_eq!(closed, code, "{rubbish:?}");
        assert!(reason.contains(word), "{rubbish:?}: {reason}");
    }
}

#[tokio::test]
async fn the_first_frame_must_be_hello() {
    let (server, invitation, mut signals) = invited().await;
    let mut tab = Tab::connect(&server, &invitation).await;
    tab.say(json!({"type": "released", "id": 1})).await;
    let (_, failure) = disconnected(&mut signals).await;
    assert_eq!(failure.cause, Cause::BadFrame);
    assert!(failure.message.contains("hello"), "{failure}");
    assert_eq!(tab.closed().await.0, 1002);
}

#[tokio::test]
async fn a_tab_that_leaves_is_told() {
    let (server, invitation, mut signals) = invited().await;
    let (tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    tab.close().await;
    assert_eq!(disconnected(&mut signals).await.1.cause, Cause::SocketClosed);
    assert_eq!(link.probe(1), Err(LinkClosed));

    let (tab, _link) = Tab::introduce(&server, &invitation, &mut signals).await;
    drop(tab);
    let (connection, failure) = disconnected(&mut signals).await;
    assert_eq!((connection, failure.cause), (2, Cause::SocketClosed));
}

#[tokio::test]
async fn a_second_socket_replaces_the_first() {
    let (server, invitation, mut signals) = invited().await;
    let (mut old, old_link) = Tab::introduce(&server, &invitation, &mut signals).await;
    let mut new = Tab::connect(&server, &invitation).await;
    let (connection, failure) = disconnected(&mut signals).await;
    assert_eq!((connection, failure.cause), (1, Cause::SocketClosed));
    assert!(old.closed().await.1.contains("replaced"));
    assert_eq!(old_link.ping(1), Err(LinkClosed));

    new.say(hello()).await;
    let signal = signals.recv().await.unwrap();
    assert_eq!(signal.connection, 2);
    let TabSignalKind::Connected { link, .. } = signal.kind else { panic!("{:?}", signal.kind) };
    link.ping(2).unwrap();
    assert_eq!(new.hear_header().await["id"], 2);
}

#[tokio::test]
async fn a_dropped_invitation_closes_the_socket_and_revokes_the_token() {
    let (server, invitation, mut signals) = invited().await;
    let secret = token(&invitation);
    let (mut tab, _link) = Tab::introduce(&server, &invitation, &mut signals).await;
    drop(invitation);
    tab.closed().await;
    assert_eq!(disconnected(&mut signals).await.1.cause, Cause::SocketClosed);
    assert!(signals.recv().await.is_none(), "nobody is left to send");
    assert_eq!(Tab::try_connect(&server, &secret, server.origin()).await.err(), Some(404));
}

#[tokio::test]
async fn a_cut_socket_ends_without_a_word_and_the_tab_may_connect_again() {
    let (server, invitation, mut signals) = invited().await;
    assert!(!invitation.cut(), "there is none yet");
    let (mut tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    assert!(invitation.cut());
    tab.cut_off().await;
    let (connection, failure) = disconnected(&mut signals).await;
    assert_eq!((connection, failure.cause), (1, Cause::SocketClosed));
    assert_eq!(link.ping(1), Err(LinkClosed));
    assert!(!invitation.cut(), "it is cut already");
    let (mut again, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    link.ping(2).unwrap();
    assert_eq!(again.hear_header().await["id"], 2);
}

#[tokio::test]
async fn closing_the_server_closes_the_sockets() {
    let (server, invitation, mut signals) = invited().await;
    let (mut tab, link) = Tab::introduce(&server, &invitation, &mut signals).await;
    tokio::join!(server.close(), async {
        assert_eq!(tab.closed().await.0, 1001);
        // Reading on is what answers the close.
        drop(tab);
    });
    assert_eq!(disconnected(&mut signals).await.1.cause, Cause::SocketClosed);
    assert_eq!(link.ping(1), Err(LinkClosed));
}
