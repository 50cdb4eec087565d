//! What the server gives over HTTP, and to whom.

use super::client::{fetch, get, invited};
use crate::{
    harness::{HarnessError, Server, ServerConfig},
    types::FleetHealth,
};
use bytes::Bytes;
use std::io::Write;

#[tokio::test]
async fn every_response_isolates_the_page() {
    let (server, invitation, _signals) = invited().await;
    let page = invitation.url().strip_prefix(server.origin()).unwrap().to_owned();
    for path in [page.as_str(), "/tab?token=wrong", "/tab", "/nothing", "/assets/nothing.js", "/models/00"] {
        let answer = fetch(&server, path).await;
        assert_eq!(answer.status(), if path == page { "200" } else { "404" }, "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("cross-origin-embedder-policy"), Some("require-corp"), "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert_eq!(fetch(&server, &page).await.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn another_host_is_refused() {
    let (server, invitation, _signals) = invited().await;
    let page = invitation.url().strip_prefix(server.origin()).unwrap().to_owned();
    for host in ["rebound.example", "localhost", "127.0.0.1", "127.0.0.1:1"] {
        let answer = get(&server, &page, host, "").await;
        assert_eq!(answer.status(), "421", "{host}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
    }
}

#[tokio::test]
async fn a_model_file_is_served_under_its_hash_until_it_is_withdrawn() {
    let (server, _invitation, _signals) = invited().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    file.write_all(&content).unwrap();
    let (sha256, bytes) = server.models().publish_file(file.path()).await.unwrap();
    assert_eq!(bytes, content.len() as u64);
    assert_eq!(server.models().publish_bytes(content.clone().into()), (sha256.clone(), bytes));

    let path = format!("/models/{sha256}");
    let answer = fetch(&server, &path).await;
    assert_eq!(answer.status(), "200");
    assert!(answer.body == content, "the file arrived changed");
    assert_eq!(answer.header("content-length"), Some("3000000"));
    assert_eq!(answer.header("etag"), Some(format!("\"{sha256}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let host = server.origin().strip_prefix("http://").unwrap().to_owned();
    let again = get(&server, &path, &host, &format!("If-None-Match: \"0\", W/\"{sha256}\"\r\n")).await;
    assert_eq!((again.status(), again.body.len()), ("304", 0));

    server.models().withdraw(&sha256);
    assert_eq!(fetch(&server, &path).await.status(), "200", "it was published twice");
    server.models().withdraw(&sha256);
    server.models().withdraw(&sha256);
    assert_eq!(fetch(&server, &path).await.status(), "404");
}

#[tokio::test]
async fn a_file_that_changed_is_not_served_under_its_old_hash() {
    let (server, _invitation, _signals) = invited().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"a model").unwrap();
    let (old, _) = server.models().publish_file(file.path()).await.unwrap();
    file.write_all(b" no longer").unwrap();
    let answer = fetch(&server, &format!("/models/{old}")).await;
    assert_eq!((answer.status(), answer.header("cache-control")), ("410", Some("no-store")));
    let (new, bytes) = server.models().publish_file(file.path()).await.unwrap();
    assert_eq!(bytes, 17);
    assert_eq!(fetch(&server, &format!("/models/{new}")).await.body, b"a model no longer");
    assert!(matches!(
        server.models().publish_file("/nowhere/model.onnx".as_ref()).await,
        Err(HarnessError::ModelFile { .. })
    ));
}

#[tokio::test]
async fn the_hash_is_sha256() {
    let (server, _invitation, _signals) = invited().await;
    let (sha256, _) = server.models().publish_bytes(Bytes::from_static(b"abc"));
    assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[tokio::test]
async fn the_custom_runtime_is_served_as_it_is_now() {
    let mut module = tempfile::NamedTempFile::new().unwrap();
    module.write_all(b"export default {}").unwrap();
    let config = ServerConfig { custom_runtime: Some(module.path().to_owned()), ..ServerConfig::default() };
    let server = Server::start(config).await.unwrap();
    assert!(server.has_custom_runtime());
    module.write_all(b"\n").unwrap();
    let answer = fetch(&server, "/runtime/custom.js").await;
    assert_eq!((answer.status(), answer.body.as_slice()), ("200", &b"export default {}\n"[..]));
    assert_eq!(answer.header("content-type"), Some("text/javascript"));

    let missing = ServerConfig { custom_runtime: Some("/nowhere/runtime.js".into()), ..ServerConfig::default() };
    assert!(matches!(Server::start(missing).await, Err(HarnessError::CustomRuntime { .. })));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = Server::start(ServerConfig::default()).await.unwrap();
    let port: u16 = server.origin().rsplit_once(':').unwrap().1.parse().unwrap();
    let error = Server::start(ServerConfig { port, ..ServerConfig::default() }).await.unwrap_err();
    assert!(matches!(&error, HarnessError::PortTaken { port: taken, .. } if *taken == port), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");

    server.close().await;
    Server::start(ServerConfig { port, ..ServerConfig::default() }).await.expect("a closed server's port is free");
}

#[tokio::test]
async fn health_is_told_to_whoever_has_the_token() {
    let (server, _invitation, _signals) = invited().await;
    let host = server.origin().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(fetch(&server, "/health").await.status(), "404", "nobody answers yet");

    let (token, mut questions) = server.serve_health().unwrap();
    assert!(server.serve_health().is_none(), "one answers already");
    let health = FleetHealth {
        at: std::time::SystemTime::UNIX_EPOCH,
        waiting: 7,
        in_flight: 0,
        targets: Vec::new(),
        models: Vec::new(),
        browsers: Vec::new(),
        tabs: Vec::new(),
        recoveries: Vec::new(),
    };
    let told = health.clone();
    let fleet = tokio::spawn(async move { questions.recv().await.unwrap().send(told).unwrap() });
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (host, lines) in [(&*host, ""), (&*host, "Authorization: Bearer 0\r\n"), (&*host, &*bearer.repeat(2))] {
        let answer = get(&server, "/health", host, lines).await;
        assert_eq!((answer.status(), answer.header("www-authenticate")), ("401", Some("bearer")), "{lines}");
    }
    assert_eq!(get(&server, "/health", "rebound.example", &bearer).await.status(), "421");

    let answer = get(&server, "/health", &host, &bearer).await;
    assert_eq!((answer.status(), answer.header("content-type")), ("200", Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(serde_json::from_slice::<FleetHealth>(&answer.body).unwrap(), health);
    fleet.await.unwrap();
    assert_eq!(get(&server, "/health", &host, &bearer).await.status(), "503", "nobody answers any more");
}
