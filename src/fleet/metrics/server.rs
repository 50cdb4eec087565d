//! `GET /metrics`, for Prometheus to scrape.

use crate::{
    fleet::{Fleet, FleetError, handle::Shared},
    types::EventKind,
};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{net::SocketAddr, sync::Weak};
use tokio::net::TcpListener;

/// Of the text format that every Prometheus reads.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the metrics of `fleet` until it is closed. Like whatever answers questions about a fleet, it holds no handle.
pub(in crate::fleet) fn serve(listener: TcpListener, fleet: &Fleet) {
    let mut events = fleet.subscribe();
    let closed = async move {
        loop {
            match events.recv().await {
                Ok(event) if matches!(event.kind, EventKind::FleetClosed) => return,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                _ => {}
            }
        }
    };
    let router = Router::new().route("/metrics", get(metrics)).with_state(std::sync::Arc::downgrade(&fleet.0));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(closed).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
}

/// Listens where metrics are to be served.
///
/// # Errors
/// [`FleetError::Metrics`] when the address cannot be had.
pub(in crate::fleet) async fn listen(address: SocketAddr) -> Result<TcpListener, FleetError> {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "metrics are served to other machines, to whoever asks");
    }
    TcpListener::bind(address).await.map_err(|source| FleetError::Metrics { address, source })
}

async fn metrics(State(fleet): State<Weak<Shared>>) -> Response {
    let closed = || (StatusCode::SERVICE_UNAVAILABLE, "the fleet is closed").into_response();
    let Some(shared) = fleet.upgrade() else { return closed() };
    match Fleet(shared).metrics().await {
        Ok(metrics) => {
            ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], metrics.to_string())
                .into_response()
        }
        Err(_) => closed(),
    }
}
