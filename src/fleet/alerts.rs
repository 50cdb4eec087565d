//! Tells an operator when something is wrong: a subscriber of the event stream that knows thresholds, does not repeat
//! itself, and writes to the log and to a webhook.

mod rules;
#[cfg(test)]
mod tests;
mod webhook;

pub use rules::{Alert, AlertKind, Alerts};

use crate::types::{Event, EventKind};
use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinHandle,
};
use url::Url;
use webhook::Webhook;

pub(crate) use webhook::{check as check_webhook, deliver as post_json};

/// When to tell, and whom.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertConfig {
    /// The share of failed attempts above which is told, from 0 to 1; nothing is above 1. Half: more failures than
    /// answers. Attempts that the caller gave up, or could not have had, are not counted.
    pub error_rate: f64,
    /// Fewer attempts than this in the window say nothing. Of 20, one failure more or less is 5 percent.
    pub minimum_attempts: u32,
    /// The time over which attempts are counted, from a second to a day. It is moved on in steps of a twentieth.
    pub window: Duration,
    /// How long the same alert is not repeated, from a second to a day.
    pub cooldown: Duration,
    /// Where alerts are sent to as JSON, besides the log: an `http` address.
    pub webhook: Option<Url>,
    /// How often an alert is tried to be sent, from 1 to 20. Five tries take at most 6 s between them.
    pub webhook_tries: u32,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            error_rate: 0.5,
            minimum_attempts: 20,
            window: Duration::from_secs(60),
            cooldown: Duration::from_secs(300),
            webhook: None,
            webhook_tries: 5,
        }
    }
}

/// What cannot be watched for, or nobody can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertConfigError {
    /// A number or duration is out of its range.
    #[error("the alerts' `{field}` cannot be {value}: it takes {range}")]
    Range {
        /// Which one.
        field: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        range: String,
    },
    /// The address cannot be posted to.
    #[error("nothing can be posted to {url}: {why}")]
    Webhook {
        /// The address without what may be secret in it.
        url: String,
        /// Why not.
        why: &'static str,
    },
}

impl AlertConfig {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// [`AlertConfigError`], with the first field that is out of its range.
    pub fn check(&self) -> Result<(), AlertConfigError> {
        const SPAN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
        let refuse = |field, value, range: String| Err(AlertConfigError::Range { field, value, range });
        if !(0.0..=1.0).contains(&self.error_rate) {
            return refuse("error_rate", self.error_rate.to_string(), "a number from 0 to 1".into());
        }
        if self.minimum_attempts == 0 {
            return refuse("minimum_attempts", "0".into(), "a number from 1".into());
        }
        for (field, span) in [("window", self.window), ("cooldown", self.cooldown)] {
            if !SPAN.contains(&span) {
                return refuse(field, format!("{span:?}"), "a duration from 1s to 24h".into());
            }
        }
        if !(1..=20).contains(&self.webhook_tries) {
            return refuse("webhook_tries", self.webhook_tries.to_string(), "a number from 1 to 20".into());
        }
        self.webhook.as_ref().map_or(Ok(()), webhook::check)
    }
}

/// The task that watches a fleet.
pub(super) struct Watch(JoinHandle<()>);

impl Watch {
    /// Watches until the fleet is closed. (Handles hold the stream open for longer.) `command` is what alerts say the
    /// fleet is used for.
    pub fn start(
        config: AlertConfig,
        command: &str,
        mut events: Receiver<Arc<Event>>,
    ) -> Result<Self, AlertConfigError> {
        config.check()?;
        let webhook = config.webhook.clone().map(|url| Webhook::start(url, config.webhook_tries, command));
        let mut alerts = Alerts::new(config);
        Ok(Self(tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => {
                        if let Some(alert) = alerts.observe(&event, Instant::now()) {
                            tracing::warn!(alert = alert.kind.name(), "{}", alert.message);
                            webhook.iter().for_each(|webhook| webhook.send(&alert));
                        }
                        if matches!(event.kind, EventKind::FleetClosed) {
                            break;
                        }
                    }
                    // What was missed was much of the same.
                    Err(RecvError::Lagged(count)) => tracing::debug!(count, "events were not watched for alerts"),
                    Err(RecvError::Closed) => break,
                }
            }
            if let Some(webhook) = webhook {
                webhook.finish().await;
            }
        })))
    }

    /// Waits until what there was to tell has been told, or could not be.
    pub async fn finish(self) {
        // An error means that the runtime shuts down.
        let _ = self.0.await;
    }
}
