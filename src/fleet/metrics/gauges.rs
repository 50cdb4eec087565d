//! What can be read off a fleet as it is now.

use super::{MetricName as Name, Metrics};
use crate::{
    fleet::gate::Crowd,
    types::{BreakerState, FleetHealth, TabStage, Target},
};

impl Metrics {
    /// What the fleet says of itself.
    pub(in crate::fleet) fn read_health(&mut self, health: &FleetHealth) {
        self.set(Name::JobsWaiting, &[], health.waiting as f64);
        self.set(Name::JobsInFlight, &[], health.in_flight as f64);
        for target in &health.targets {
            let breaker = match target.breaker.state {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            };
            self.set(Name::Health, &[&target.target], target.health.score);
            self.set(Name::Breaker, &[&target.target], breaker);
            if let Some(part) = utilization(health, target.target) {
                self.set(Name::Utilization, &[&target.target], part);
            }
        }
        for tab in &health.tabs {
            self.add(Name::Tabs, &[&tab.target, &tab.stage], 1.0);
            self.add(Name::Sessions, &[&tab.target], f64::from(tab.sessions));
            self.add(Name::SessionsKept, &[&tab.target], tab.kept_bytes as f64);
            tab.heap_bytes.into_iter().for_each(|bytes| self.add(Name::Heap, &[&tab.target], bytes as f64));
        }
        for browser in &health.browsers {
            let kind = &browser.browser;
            browser.memory_bytes.into_iter().for_each(|bytes| self.set(Name::BrowserMemory, &[kind], bytes as f64));
            browser.heartbeat_ms.into_iter().for_each(|ms| self.set(Name::BrowserHeartbeat, &[kind], ms / 1e3));
        }
    }

    /// What the way into the queue says.
    pub(in crate::fleet) fn read_crowd(&mut self, crowd: &Crowd) {
        self.set(Name::JobsUnderWay, &[], crowd.overload.jobs as f64);
        self.set(Name::InputBytes, &[], crowd.overload.bytes as f64);
        if let Some(wait) = crowd.overload.expected_wait {
            self.set(Name::ExpectedWait, &[], wait.as_secs_f64());
        }
        for (priority, refused) in &crowd.refused {
            self.set(Name::JobsRefused, &[priority], *refused as f64);
        }
    }
}

/// The part of a target's ready tabs that have a job; `None` where none is ready.
fn utilization(health: &FleetHealth, target: Target) -> Option<f64> {
    let ready = || health.tabs.iter().filter(|tab| tab.target == target && tab.stage == TabStage::Ready);
    let busy = ready().filter(|tab| tab.in_flight > 0).count();
    match ready().count() {
        0 => None,
        ready => Some(busy as f64 / ready as f64),
    }
}
