//! Which tab runs a job: the family's preferred browser first, then by load.

use super::{Policy, jobs::Job, tabs::Tabs};
use crate::types::{Backend, Browser, Family, TabId, Target};

/// The browser a family of models is sent to until measurements say otherwise.
pub const fn preferred_browser(family: Family) -> Option<Browser> {
    match family {
        Family::Text => Some(Browser::Edge),
        Family::Vision => Some(Browser::Chrome),
        Family::Audio => Some(Browser::Firefox),
        Family::Multimodal | Family::Other => None,
    }
}

/// The tab for `job`, or `None` when every tab it may run on is full.
///
/// The preferred browser's least loaded tab is taken while it holds fewer than [`Policy::preferred_depth`] jobs; beyond
/// that the least loaded of all, so that a preference never leaves another browser idle behind a queue.
pub(super) fn choose(job: &Job, tabs: &Tabs, policy: &Policy, slow: impl Fn(Target) -> bool) -> Option<TabId> {
    let preferred = preferred_browser(job.spec.family);
    job.open_to
        .iter()
        .filter_map(|target| room(job, target, tabs, policy).map(|(load, tab)| (target, load, tab)))
        .min_by_key(|(target, load, _)| {
            let is_preferred = preferred == Some(target.browser);
            let within_depth = is_preferred && *load < policy.preferred_depth;
            (!within_depth, *load, slow(*target), !is_preferred, backend_rank(target.backend))
        })
        .map(|(_, _, tab)| tab)
}

/// The least loaded tab of `target` that may be handed the job.
fn room(job: &Job, target: Target, tabs: &Tabs, policy: &Policy) -> Option<(usize, TabId)> {
    tabs.ready(target).take_while(|(load, _)| *load < policy.in_flight_per_tab).find(|(load, tab)| {
        let held = tabs.get(*tab).map_or(0, |tab| tab.bytes);
        *load == 0 || held + job.spec.bytes <= policy.in_flight_bytes_per_tab
    })
}

const fn backend_rank(backend: Backend) -> u8 {
    match backend {
        Backend::Webgpu => 0,
        Backend::Webnn => 1,
        Backend::Wasm => 2,
    }
}
