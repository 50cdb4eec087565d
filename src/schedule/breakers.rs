//! All breakers of a fleet: one for each target, and one for each model on each target where it was tried.

use super::{
    Policy, TargetSet,
    breaker::{Breaker, Call, Change, Permit},
    by_id::ById,
};
use crate::types::{BreakerHealth, BreakerState, Cause, ModelId, Target};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Whose breaker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Target(Target),
    Model(Target, ModelId),
}

/// What a job holds while a tab works for it. Dropped means given back.
#[derive(Debug)]
pub(super) struct Permits {
    target: Permit,
    /// None for a canary, which is no model's call.
    model: Option<Permit>,
}

/// A breaker that changed its state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Changed {
    pub owner: Owner,
    pub change: Change,
}

#[derive(Debug)]
pub(super) struct Breakers {
    targets: BTreeMap<Target, Breaker>,
    models: BTreeMap<(ModelId, Target), Breaker>,
    /// When open ones become half-open.
    due: BTreeSet<(Instant, Owner)>,
    /// Targets whose breaker is not closed.
    tripped: TargetSet,
    /// The same for models that have such a breaker.
    tripped_for: ById<ModelId, TargetSet>,
    /// Whether half-open targets are probed by a canary first.
    canary: bool,
    random: ChaCha8Rng,
}

impl Breakers {
    pub fn new(policy: &Policy, targets: TargetSet, now: Instant) -> Self {
        let breaker = |target: Target| (target, Breaker::new(policy.breaker(target.browser), now));
        Self {
            targets: targets.iter().map(breaker).collect(),
            models: BTreeMap::new(),
            due: BTreeSet::new(),
            tripped: TargetSet::EMPTY,
            tripped_for: ById::default(),
            canary: policy.canary,
            random: ChaCha8Rng::seed_from_u64(policy.seed),
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub fn target(&self, target: Target) -> Option<&Breaker> {
        self.targets.get(&target)
    }

    /// Targets that let no job through just now: a half-open one does only when the canary has succeeded there.
    pub fn ejected(&self) -> TargetSet {
        let permits = |breaker: &Breaker| breaker.permits() && !(self.canary && breaker.is_unproven());
        self.tripped.iter().filter(|target| !self.targets.get(target).is_some_and(permits)).collect()
    }

    /// Targets that are half-open and have no probe under way.
    pub fn want_canary(&self) -> impl Iterator<Item = Target> {
        let wants = |target: &Target| self.targets.get(target).is_some_and(Breaker::wants_canary);
        self.tripped.iter().filter(wants)
    }

    /// Targets that let no call of this model through just now, though they may let others.
    pub fn ejected_for(&self, model: ModelId) -> TargetSet {
        let Some(tripped) = self.tripped_for.get(&model) else { return TargetSet::EMPTY };
        let turns_away = |target: &Target| self.models.get(&(model, *target)).is_some_and(|breaker| !breaker.permits());
        tripped.iter().filter(turns_away).collect()
    }

    /// The one of `targets` that will let probes through first: where a job goes that has nowhere else.
    pub fn least_bad(&self, targets: TargetSet) -> Option<Target> {
        targets.iter().min_by_key(|target| self.targets.get(target).and_then(Breaker::opens_until))
    }

    pub fn take(&mut self, policy: &Policy, target: Target, model: ModelId, now: Instant) -> Option<Permits> {
        let of_target = self.targets.get(&target)?.take();
        let breaker = || Breaker::new(policy.breaker(target.browser).for_one_model(), now);
        let of_model = self.models.entry((model, target)).or_insert_with(breaker).take();
        Some(Permits { target: of_target, model: Some(of_model) })
    }

    /// The permit of a canary, which is no model's call.
    pub fn take_canary(&self, target: Target) -> Option<Permits> {
        Some(Permits { target: self.targets.get(&target)?.take(), model: None })
    }

    /// Takes in that a call ended well. `slow` says why it was too slow, if it was.
    pub fn succeeded(
        &mut self,
        permits: Permits,
        target: Target,
        model: ModelId,
        slow: Option<&str>,
        now: Instant,
    ) -> Vec<Changed> {
        let call = if slow.is_some() { Call::Slow } else { Call::Succeeded };
        self.record(permits, target, model, [call; 2], slow.unwrap_or_default(), now)
    }

    /// Takes in that a call failed; the cause says whose failure it was.
    pub fn failed(
        &mut self,
        permits: Permits,
        target: Target,
        model: ModelId,
        (cause, why): (Cause, &str),
        now: Instant,
    ) -> Vec<Changed> {
        match Blame::of(cause) {
            Blame::Caller => Vec::new(),
            // It shows that the target works.
            Blame::Model => self.record(permits, target, model, [Call::Succeeded, Call::Failed], why, now),
            Blame::Target => self.record(permits, target, model, [Call::Failed; 2], why, now),
        }
    }

    /// Takes in a failure of the target that was no job's, or what became of a canary.
    pub fn outcome(
        &mut self,
        permits: Option<Permits>,
        target: Target,
        call: Call,
        why: &str,
        now: Instant,
    ) -> Option<Changed> {
        let breaker = self.targets.get_mut(&target)?;
        let permit = permits.map_or_else(|| breaker.take(), |permits| permits.target);
        let change = breaker.record(permit, call, why, now, &mut self.random)?;
        Some(self.changed(Owner::Target(target), change))
    }

    /// Opens a target's breaker at once.
    pub fn trip(&mut self, target: Target, why: &str, now: Instant) -> Option<Changed> {
        let change = self.targets.get_mut(&target)?.trip(why, now, &mut self.random)?;
        Some(self.changed(Owner::Target(target), change))
    }

    /// Lets probes through where the wait is over.
    pub fn tick(&mut self, now: Instant) -> Vec<Changed> {
        let mut changes = Vec::new();
        while let Some((at, owner)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let breaker = match owner {
                Owner::Target(target) => self.targets.get_mut(&target),
                Owner::Model(target, model) => self.models.get_mut(&(model, target)),
            };
            if let Some(change) = breaker.and_then(|breaker| breaker.tick(now)) {
                changes.push(self.changed(owner, change));
            }
        }
        changes
    }

    /// Nobody has a handle to the model any more.
    pub fn forget(&mut self, model: ModelId) {
        let forgotten: Vec<_> =
            self.models.range((model, FIRST)..).map(|(key, _)| *key).take_while(|(of, _)| *of == model).collect();
        for key in forgotten {
            self.models.remove(&key);
        }
        self.tripped_for.remove(&model);
        self.due.retain(|(_, owner)| !matches!(owner, Owner::Model(_, of) if *of == model));
    }

    /// What is known of models on targets where not all went well.
    pub fn models(&self, now: Instant) -> impl Iterator<Item = (ModelId, Target, BreakerHealth)> {
        let noted = self.models.iter().filter(|(_, breaker)| !breaker.is_blank());
        noted.map(move |((model, target), breaker)| (*model, *target, breaker.health(now)))
    }

    #[cfg(test)]
    pub fn outstanding(&self) -> u32 {
        self.targets.values().chain(self.models.values()).map(Breaker::outstanding).sum()
    }

    fn record(
        &mut self,
        permits: Permits,
        target: Target,
        model: ModelId,
        [of_target, of_model]: [Call; 2],
        why: &str,
        now: Instant,
    ) -> Vec<Changed> {
        let mut changes = Vec::new();
        let change = self
            .targets
            .get_mut(&target)
            .and_then(|breaker| breaker.record(permits.target, of_target, why, now, &mut self.random));
        changes.extend(change.map(|change| self.changed(Owner::Target(target), change)));
        if let Some(permit) = permits.model
            && let Some(breaker) = self.models.get_mut(&(model, target))
        {
            let change = breaker.record(permit, of_model, why, now, &mut self.random);
            changes.extend(change.map(|change| self.changed(Owner::Model(target, model), change)));
        }
        changes
    }

    fn changed(&mut self, owner: Owner, change: Change) -> Changed {
        let until = match owner {
            Owner::Target(target) => {
                self.tripped.set(target, change.to != BreakerState::Closed);
                self.targets.get(&target).and_then(Breaker::opens_until)
            }
            Owner::Model(target, model) => {
                let tripped = self.tripped_for.entry(model).or_default();
                tripped.set(target, change.to != BreakerState::Closed);
                if tripped.is_empty() {
                    self.tripped_for.remove(&model);
                }
                self.models.get(&(model, target)).and_then(Breaker::opens_until)
            }
        };
        self.due.extend(until.map(|until| (until, owner)));
        Changed { owner, change }
    }
}

/// The least target there is, for ranges over all targets of a model.
pub(super) const FIRST: Target = Target::new(crate::types::Browser::Chrome, crate::types::Backend::Webgpu);

/// Whose failure a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// Whoever asked: it says nothing of the target.
    Caller,
    /// The model's on this target: others run there.
    Model,
    /// The target's; and the model's, too, which may be what does it.
    Target,
}

impl Blame {
    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::BadInput
            | Cause::Cancelled
            | Cause::FleetClosed
            | Cause::QueueFull
            | Cause::TabLimit
            | Cause::BrowserLimit
            | Cause::ModelLimit
            | Cause::NoTarget
            | Cause::StateLost
            | Cause::CircuitOpen => Blame::Caller,
            Cause::ModelLoad | Cause::ModelRun | Cause::Quarantined => Blame::Model,
            _ => Blame::Target,
        }
    }
}

/// Whether a failure is the target's, rather than the caller's or the model's own.
pub(super) const fn blames_target(cause: Cause) -> bool {
    matches!(Blame::of(cause), Blame::Target)
}
