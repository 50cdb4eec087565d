//! A small HTTP client: one request, one answer, within a time.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{error::Error, time::Duration};

/// Asks over plain HTTP; TLS is not among what this crate is built of.
#[derive(Clone, Debug)]
pub(super) struct HttpClient {
    client: Client<HttpConnector, Body>,
    timeout: Duration,
    max_answer: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nobody could be reached there.
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Other(String),
}

impl HttpClient {
    /// A client whose requests may take `timeout`, to servers whose answers have at most `max_answer` bytes.
    pub fn new(timeout: Duration, max_answer: usize) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), timeout, max_answer }
    }

    pub async fn send(&self, request: Request<Body>) -> Result<(StatusCode, Bytes), HttpError> {
        let sent = async {
            let answer = self.client.request(request).await.map_err(|error| {
                if error.is_connect() { HttpError::Connect(chain(&error)) } else { HttpError::Other(chain(&error)) }
            })?;
            let (head, body) = answer.into_parts();
            let body = to_bytes(Body::new(body), self.max_answer).await;
            body.map(|body| (head.status, body)).map_err(|error| HttpError::Other(chain(&error)))
        };
        tokio::time::timeout(self.timeout, sent).await.unwrap_or(Err(HttpError::Timeout(self.timeout)))
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
