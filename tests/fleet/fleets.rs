//! Fleets for tests: of browsers that are here, or skipped loudly; and what a fleet tells while it works.

pub use crate::processes::PATIENCE;
use crate::{missing::skip, processes::within};
use std::{sync::Arc, time::Duration};
use tabfleet::{
    browser::{Catalogue, Overrides},
    fleet::{Fleet, FleetBuilder, Model, ModelSpec},
    types::{Event, EventKind, Target},
};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

pub fn target(name: &str) -> Target {
    name.parse().expect("a target")
}

/// Whether the browsers of all these targets are on this machine; says loudly which are not.
pub fn are_here(targets: &[&str]) -> bool {
    let (catalogue, overrides) = (Catalogue::embedded().unwrap(), Overrides::default().from_env());
    let browsers = targets.iter().map(|name| target(name).browser);
    let missing = browsers.filter_map(|browser| Some((browser, catalogue.find(browser, &overrides).err()?)));
    missing.map(|(browser, error)| skip(browser, &error)).count() == 0
}

/// A fleet of these targets that is not launched yet, or `None` (said loudly) where a browser is missing.
pub fn builder(targets: &[&str]) -> Option<FleetBuilder> {
    are_here(targets).then(|| {
        Fleet::builder().targets(targets.iter().map(|name| target(name))).configure(|config| {
            (config.launch_timeout, config.command_timeout) = (PATIENCE, PATIENCE);
            (config.policy.open_timeout, config.policy.start_timeout) = (PATIENCE, PATIENCE);
            config.policy.restart_timeout = Duration::from_secs(30);
            (config.policy.heartbeat_timeout, config.policy.canary_timeout) = (PATIENCE / 3, PATIENCE);
            config.job_deadline = 2 * PATIENCE;
        })
    })
}

/// A fleet with one tab on each of these targets.
pub async fn launched(targets: &[&str]) -> Option<Fleet> {
    Some(builder(targets)?.launch().await.unwrap())
}

/// Launches a fleet and waits for all of its tabs. It is launched when each target has one that takes jobs; the others
/// come up a moment later.
pub async fn with_tabs(builder: FleetBuilder, tabs: usize) -> Fleet {
    let fleet = builder.tabs_per_browser(tabs).launch().await.unwrap();
    let ready =
        async { while !fleet.health().await.unwrap().targets.iter().all(|of| of.ready_tabs as usize == tabs) {} };
    within(PATIENCE, "all tabs", ready).await;
    fleet
}

/// A case of the built-in suite: its model, inputs and expected outputs.
pub async fn builtin(fleet: &Fleet, name: &str) -> (Model, tabfleet::onnx::LoadedCase) {
    let suite = tabfleet::onnx::Suite::builtin().unwrap();
    let case = suite.cases.iter().find(|case| case.name == name).expect("a case of the built-in suite").load().unwrap();
    (fleet.get_model(ModelSpec::read(case.model.clone())).await.unwrap(), case)
}

/// The events from now on.
pub struct Events(Receiver<Arc<Event>>);

impl Events {
    pub fn of(fleet: &Fleet) -> Self {
        Self(fleet.subscribe())
    }

    /// Waits for the next event that is picked.
    pub async fn next<T>(&mut self, what: &str, pick: impl Fn(&EventKind) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.0.recv().await.unwrap();
                if let Some(picked) = pick(&event.kind) {
                    return picked;
                }
            }
        };
        within(PATIENCE, what, picked).await
    }

    /// What was told and not yet taken.
    pub fn so_far(&mut self) -> Vec<EventKind> {
        let next = || match self.0.try_recv() {
            Ok(event) => Some(event.kind.clone()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
            Err(TryRecvError::Lagged(events)) => panic!("{events} events were missed: take them sooner"),
        };
        std::iter::from_fn(next).collect()
    }
}

/// Waits until a tab has been given a job.
pub async fn started(events: &mut Events) -> tabfleet::types::TabId {
    let pick = |kind: &EventKind| match kind {
        EventKind::AttemptStarted { tab, .. } => Some(*tab),
        _ => None,
    };
    events.next("an attempt to start", pick).await
}
