//! Direct channels between workers of one browser: which there are, and which are to be opened.

use crate::types::TabId;
use std::collections::BTreeMap;

/// One worker of a tab; a restarted one has a larger number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId {
    /// The tab.
    pub tab: TabId,
    /// Which of the tab's workers.
    pub number: u64,
}

/// How activations go from one worker to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From tab to tab.
    Direct,
    /// Through the fleet.
    ThroughFleet,
    /// Through the fleet this time; the two are to be introduced to each other.
    Introduce,
}

/// The channel between two workers.
#[derive(Clone, Copy, Debug)]
enum Channel {
    /// Both were asked to meet; this one said that it has.
    Opening(Option<WorkerId>),
    Open,
    /// The browser has none.
    Impossible,
}

/// Every channel that was ever wanted between workers that live.
#[derive(Debug, Default)]
pub struct Channels(BTreeMap<(WorkerId, WorkerId), Channel>);

impl Channels {
    /// The way between two workers of one browser.
    pub fn way(&mut self, from: WorkerId, to: WorkerId) -> Way {
        if from == to {
            return Way::Direct;
        }
        match self.0.get(&pair(from, to)) {
            Some(Channel::Open) => Way::Direct,
            Some(Channel::Opening(_) | Channel::Impossible) => Way::ThroughFleet,
            None => {
                self.0.insert(pair(from, to), Channel::Opening(None));
                Way::Introduce
            }
        }
    }

    /// One of two that were introduced says that it has met the other.
    pub fn met(&mut self, who: WorkerId, whom: WorkerId) {
        let Some(channel) = self.0.get_mut(&pair(who, whom)) else { return };
        *channel = match *channel {
            Channel::Opening(Some(other)) if other != who => Channel::Open,
            Channel::Opening(_) => Channel::Opening(Some(who)),
            as_it_is => as_it_is,
        };
    }

    /// One of two says that they cannot meet.
    pub fn cannot_meet(&mut self, who: WorkerId, whom: WorkerId) {
        if let Some(channel) = self.0.get_mut(&pair(who, whom)) {
            *channel = Channel::Impossible;
        }
    }

    /// A tab's worker has ended.
    pub fn lost(&mut self, tab: TabId) {
        self.0.retain(|(one, other), _| one.tab != tab && other.tab != tab);
    }
}

fn pair(one: WorkerId, other: WorkerId) -> (WorkerId, WorkerId) {
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn worker(tab: u64, number: u64) -> WorkerId {
        WorkerId { tab: TabId(tab), number }
    }

    #[test]
    fn two_are_introduced_once_and_the_channel_is_open_when_both_have_met() {
        let (mut channels, one, other) = (Channels::default(), worker(1, 1), worker(2, 1));
        assert_eq!(channels.way(one, other), Way::Introduce);
        assert_eq!(channels.way(other, one), Way::ThroughFleet);
        channels.met(one, other);
        channels.met(one, other);
        assert_eq!(channels.way(one, other), Way::ThroughFleet);
        channels.met(other, one);
        assert_eq!([channels.way(one, other), channels.way(other, one)], [Way::Direct; 2]);
    }

    #[test]
    fn who_cannot_meet_is_not_asked_again() {
        let (mut channels, one, other) = (Channels::default(), worker(1, 1), worker(2, 1));
        channels.way(one, other);
        channels.met(one, other);
        channels.cannot_meet(other, one);
        channels.met(other, one);
        assert_eq!(channels.way(one, other), Way::ThroughFleet);
    }

    #[test]
    fn the_end_of_a_worker_is_the_end_of_its_channels() {
        let (mut channels, one, other, third) = (Channels::default(), worker(1, 1), worker(2, 1), worker(3, 1));
        for (one, other) in [(one, other), (third, other)] {
            channels.way(one, other);
            channels.met(one, other);
            channels.met(other, one);
        }
        channels.lost(one.tab);
        // What the ended one still had to say.
        channels.met(one, other);
        assert_eq!(channels.way(worker(1, 2), other), Way::Introduce);
        assert_eq!(channels.way(other, third), Way::Direct);
    }

    #[test]
    fn within_a_worker_nobody_has_to_meet() {
        assert_eq!(Channels::default().way(worker(1, 1), worker(1, 1)), Way::Direct);
    }
}
