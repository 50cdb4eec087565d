//! `GET /health`: how the fleet is, for whoever has the token.

use crate::types::FleetHealth;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::sync::{mpsc, oneshot};

/// Somebody who wants to know. Dropped, they are told that nobody can say.
pub type HealthQuestion = oneshot::Sender<FleetHealth>;

/// Questions that may wait. Each is answered at once by a fleet that is well.
const WAITING: usize = 16;

/// Where questions are taken to.
pub(super) struct HealthDesk {
    authorization: String,
    questions: mpsc::Sender<HealthQuestion>,
}

impl HealthDesk {
    /// A desk for whoever has the token, and the questions that are asked there.
    pub fn open(token: &str) -> (Self, mpsc::Receiver<HealthQuestion>) {
        let (questions, asked) = mpsc::channel(WAITING);
        (Self { authorization: format!("Bearer {token}"), questions }, asked)
    }

    pub async fn answer(&self, request: &HeaderMap) -> Response {
        if !super::server::is(request, header::AUTHORIZATION, &self.authorization) {
            let scheme = [(header::WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, scheme, "the fleet's token is needed").into_response();
        }
        let (question, answer) = oneshot::channel();
        if self.questions.try_send(question).is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, "the fleet is asked too much, or closed").into_response();
        }
        let Ok(health) = answer.await else {
            return (StatusCode::SERVICE_UNAVAILABLE, "the fleet is closed").into_response();
        };
        match serde_json::to_string(&health) {
            Ok(json) => {
                let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
                (headers, json).into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}
