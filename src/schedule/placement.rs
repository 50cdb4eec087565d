//! Which tab runs a job: where it was measured to run best, or else the family's preferred browser, then by load.

use super::{
    Policy, TargetSet,
    jobs::{Avoid, Job},
    tabs::Tabs,
};
use crate::types::{Backend, Browser, Family, Priority, TabId, Target};

/// The browser a family of models is sent to until measurements say otherwise.
pub const fn preferred_browser(family: Family) -> Option<Browser> {
    match family {
        Family::Text => Some(Browser::Edge),
        Family::Vision => Some(Browser::Chrome),
        Family::Audio => Some(Browser::Firefox),
        Family::Multimodal | Family::Other => None,
    }
}

/// The tab for `job` among those of `admitted` targets, or `None` when every one is full.
///
/// What the job is to keep away from after a failure comes last. Of the targets where it was measured to run best, or
/// without measurements of the family's preferred browser, the least loaded tab is taken while it holds fewer than [`Policy::preferred_depth`] jobs; beyond that the least loaded of all, so that a preference never
/// leaves another browser idle behind a queue. Of equals, a tab that failed last time comes last; for a critical job it
/// does whatever its load.
pub(super) fn choose(
    job: &Job,
    admitted: TargetSet,
    tabs: &Tabs,
    policy: &Policy,
    slow: impl Fn(Target) -> bool,
) -> Option<TabId> {
    let recommended = job.spec.recommended.intersection(admitted);
    let prior = preferred_browser(job.spec.family).filter(|_| recommended.is_empty());
    let avoided = |target: Target, tab: TabId| match job.avoid {
        Avoid::Nothing => false,
        Avoid::Tab(avoided) => avoided == tab,
        Avoid::Target(avoided) => avoided == target,
    };
    admitted
        .iter()
        .filter_map(|target| room(job, target, tabs, policy).map(|(load, tab)| (target, load, tab)))
        .min_by_key(|(target, load, tab)| {
            let is_preferred = recommended.contains(*target) || prior == Some(target.browser);
            let within_depth = is_preferred && *load < policy.preferred_depth;
            let degraded = tabs.get(*tab).is_some_and(|tab| tab.is_degraded());
            let shunned = degraded && job.spec.priority == Priority::Critical;
            let away = (avoided(*target, *tab), shunned);
            (away, !within_depth, *load, degraded, slow(*target), !is_preferred, backend_rank(target.backend))
        })
        .map(|(_, _, tab)| tab)
}

/// The least loaded tab of `target` that may be handed the job; the one it keeps away from only if there is no other.
fn room(job: &Job, target: Target, tabs: &Tabs, policy: &Policy) -> Option<(usize, TabId)> {
    let mut rooms =
        tabs.ready(target).take_while(|(load, _)| *load < policy.in_flight_per_tab).filter(|(load, tab)| {
            let held = tabs.get(*tab).map_or(0, |tab| tab.bytes);
            *load == 0 || held + job.spec.bytes <= policy.in_flight_bytes_per_tab
        });
    let first = rooms.next()?;
    let is_avoided = job.avoid == Avoid::Tab(first.1);
    Some(if is_avoided { rooms.next().unwrap_or(first) } else { first })
}

const fn backend_rank(backend: Backend) -> u8 {
    match backend {
        Backend::Webgpu => 0,
        Backend::Webnn => 1,
        Backend::Wasm => 2,
    }
}
