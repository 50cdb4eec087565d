//! Where stages of pipelines live: homes given, spares kept, both moved when a tab is lost; and their jobs handed out.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        TargetSet,
        stages::{Seat, Stage as StageOf, StageSpec},
        tabs::{InFlight, Stage},
    },
    types::{Backend, BrowserId, Cause, Failure, JobId, ModelId, Placement, TabId, Target},
};
use std::time::Instant;

/// What a tab is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Home,
    Spare,
}

impl Scheduler {
    /// The tab that a stage's jobs go to now.
    pub fn home(&self, stage: ModelId) -> Option<TabId> {
        self.stages.get(stage)?.home.map(|seat| seat.tab)
    }

    /// Whether a stage is loaded in its home; `None` while it may yet be.
    pub fn stage_is_loaded(&self, model: ModelId) -> Option<bool> {
        let Some(stage) = self.stages.get(model) else { return Some(false) };
        match stage.home {
            Some(home) => home.loaded.then_some(true),
            None => (self.loads_nowhere(model) || !self.home_may_come(model)).then_some(false),
        }
    }

    pub(super) fn declare_stage(&mut self, model: ModelId, spec: StageSpec) {
        self.stages.declare(model, spec);
    }

    /// A tab has loaded a model, which may be a stage, or says why it cannot.
    pub(super) fn stage_loaded(&mut self, tab: TabId, model: ModelId, target: Target, failure: Option<&Failure>) {
        let Some(stage) = self.stages.get_mut(model) else { return };
        let Some(failure) = failure else {
            stage.seats_mut().filter(|seat| seat.tab == tab).for_each(|seat| seat.loaded = true);
            return;
        };
        if matches!(failure.cause, Cause::ModelLoad | Cause::ModelRun | Cause::BackendUnavailable) {
            stage.barred.insert(target);
        }
        self.leave(model, tab);
    }

    /// A job of a stage failed for what would fail there again: the stage lives elsewhere from now on.
    pub(super) fn bar_stage(&mut self, model: ModelId, target: Target) {
        let Some(stage) = self.stages.get_mut(model) else { return };
        stage.barred.insert(target);
    }

    /// Sees to it that every stage has a home and its spares, and hands out what waits.
    pub(super) fn tend_stages(&mut self, now: Instant) {
        if self.stages.is_empty() {
            return;
        }
        let models = self.stages.models();
        models.iter().for_each(|model| self.drop_lost_seats(*model));
        for model in &models {
            self.keep_home(*model, now);
        }
        for model in &models {
            self.keep_spares(*model, now);
            self.hand_out_stage(*model, now);
        }
    }

    /// Where a stage may live: breakers count as they do for jobs.
    fn stage_targets(&self, model: ModelId) -> TargetSet {
        let Some(stage) = self.stages.get(model) else { return TargetSet::EMPTY };
        let hopeful = self.hopeful();
        let allowed = stage.spec.allowed.intersection(hopeful);
        let open = match allowed.difference(stage.barred) {
            open if open.is_empty() => allowed,
            open => open,
        };
        let narrowed = open.difference(self.breakers.ejected_for(model));
        let route = if narrowed.len() < self.policy.keep_targets.min(open.len()) { open } else { narrowed };
        self.admitted(route, hopeful, self.breakers.ejected())
    }

    /// Whether no target is left that did not fail to load or run a stage.
    fn loads_nowhere(&self, model: ModelId) -> bool {
        let open = |stage: &StageOf| stage.spec.allowed.intersection(self.hopeful()).difference(stage.barred);
        self.stages.get(model).is_none_or(|stage| open(stage).is_empty())
    }

    /// Whether a tab may yet come up where a stage may live.
    fn home_may_come(&self, model: ModelId) -> bool {
        let mut targets = self.stage_targets(model).iter();
        targets.any(|target| self.tabs.ready(target).count() < self.tabs_wanted(target))
    }

    fn drop_lost_seats(&mut self, model: ModelId) {
        let targets = self.stage_targets(model);
        let Some(stage) = self.stages.get(model) else { return };
        let seats: Vec<Seat> = stage.seats().copied().collect();
        for seat in seats {
            let tab = self.tabs.get(seat.tab);
            let lives = tab.is_some_and(|tab| tab.stage == Stage::Ready && tab.ready_since == Some(seat.ready_since));
            if lives && targets.contains(seat.target) {
                continue;
            }
            if lives {
                self.leave(model, seat.tab);
            } else {
                self.vacate(model, seat.tab);
            }
        }
    }

    /// Takes a stage off a tab that is no longer there.
    fn vacate(&mut self, model: ModelId, tab: TabId) {
        let Some(stage) = self.stages.get_mut(model) else { return };
        let left = stage.seats().find(|seat| seat.tab == tab).copied();
        stage.home = stage.home.filter(|seat| seat.tab != tab);
        stage.spares.retain(|seat| seat.tab != tab);
        left.into_iter().for_each(|seat| stage.lost(seat));
    }

    /// Takes a stage off a tab that goes on.
    fn leave(&mut self, model: ModelId, tab: TabId) {
        self.vacate(model, tab);
        if let Some(tab) = self.tabs.get_mut(tab) {
            tab.loaded.remove(&model);
        }
        self.actions.push_back(Action::DropModel { tab, model });
    }

    fn keep_home(&mut self, model: ModelId, now: Instant) {
        self.improve_home(model);
        let Some(stage) = self.stages.get_mut(model).filter(|stage| stage.home.is_none()) else { return };
        // One that is loaded answers at once.
        if let Some(position) = stage.spares.iter().position(|seat| seat.loaded) {
            stage.home = Some(stage.spares.remove(position));
            return;
        }
        // Where it failed before it is only loaded again for a job, which is then told why.
        let is_needed = stage.first_waiting().is_some();
        match self.seat_for(model, Wanted::Home) {
            Some(_) if !is_needed && self.loads_nowhere(model) => {}
            Some(seat) => {
                self.make_room(model, seat.tab);
                self.load(model, seat, Wanted::Home, now);
            }
            None => self.without_home(model),
        }
    }

    /// After a loss a home may be where it should not stay. A spare in a better place takes over when it is loaded.
    fn improve_home(&mut self, model: ModelId) {
        let Some(stage) = self.stages.get(model) else { return };
        let Some(home) = stage.home else { return };
        let standing = |seat: &Seat| self.standing(model, &stage.spec, seat.target, seat.tab);
        let best =
            stage.spares.iter().enumerate().filter(|(_, seat)| seat.loaded).min_by_key(|(_, seat)| standing(seat));
        let better = best.filter(|(_, seat)| standing(seat) < standing(&home)).map(|(position, _)| position);
        if let Some(position) = better
            && let Some(stage) = self.stages.get_mut(model)
        {
            stage.home = Some(std::mem::replace(&mut stage.spares[position], home));
        }
    }

    fn keep_spares(&mut self, model: ModelId, now: Instant) {
        let Some(stage) = self.stages.get(model) else { return };
        let (Some(home), spec) = (stage.home, &stage.spec) else { return };
        let (wanted, held) = (spec.spares, stage.spares.len());
        let standing = |seat: &Seat| self.standing(model, spec, seat.target, seat.tab);
        let better = self.seat_for(model, Wanted::Home).filter(|seat| standing(seat) < standing(&home));
        if let Some(seat) = better {
            if !stage.spares.iter().any(|spare| standing(spare) <= standing(&seat)) {
                self.make_room(model, seat.tab);
                self.load(model, seat, Wanted::Spare, now);
            }
        } else if held > wanted {
            let last = stage.spares.last().map(|seat| seat.tab);
            last.into_iter().for_each(|tab| self.leave(model, tab));
        } else if held < wanted
            && let Some(seat) = self.seat_for(model, Wanted::Spare)
        {
            self.load(model, seat, Wanted::Spare, now);
        }
    }

    /// How unwelcome a home there is: away from where it is preferred, beside others of its pipeline.
    fn standing(&self, model: ModelId, spec: &StageSpec, target: Target, tab: TabId) -> (bool, usize) {
        let is_sibling = |(of, held, is_home): &(ModelId, &StageSpec, bool)| {
            *of != model && *is_home && held.pipeline == spec.pipeline
        };
        let elsewhere = !spec.preferred.is_empty() && !spec.preferred.contains(target);
        (elsewhere, self.stages.held_by(tab).filter(is_sibling).count())
    }

    fn load(&mut self, model: ModelId, seat: Seat, wanted: Wanted, now: Instant) {
        let Some(stage) = self.stages.get_mut(model) else { return };
        let timeout = stage.spec.load_timeout;
        match wanted {
            Wanted::Home => {
                // A spare that is still being loaded becomes the home.
                stage.spares.retain(|spare| spare.tab != seat.tab);
                stage.home = Some(seat);
            }
            Wanted::Spare => stage.spares.push(seat),
        }
        self.tabs.update(seat.tab, |tab| {
            tab.loaded.insert(model);
            tab.hand(InFlight::load(model, timeout), now);
        });
        self.actions.push_back(Action::LoadModel { tab: seat.tab, model });
    }

    /// The best tab for a stage. A home keeps out of tabs that hold others of its pipeline, and is where it is
    /// preferred; a spare is in another browser than the home, so that it outlives it.
    fn seat_for(&self, model: ModelId, wanted: Wanted) -> Option<Seat> {
        let stage = self.stages.get(model)?;
        let (spec, targets) = (&stage.spec, self.stage_targets(model));
        let home = stage.home.and_then(|seat| Some((seat.tab, self.tabs.get(seat.tab)?.browser)));
        let taken: Vec<TabId> = stage.seats().map(|seat| seat.tab).collect();
        let key = |target: Target, id: TabId, browser: BrowserId, load: usize| {
            let together = wanted == Wanted::Spare && home.is_some_and(|(_, of_home)| of_home == browser);
            let others = self.stages.held_by(id).filter(|(of, ..)| *of != model).count();
            let (software, rank) = (self.software.contains(target), rank(target.backend));
            (together, self.standing(model, spec, target, id), others, load, software, rank, id)
        };
        targets
            .iter()
            .flat_map(|target| self.tabs.ready(target).map(move |(load, id)| (target, load, id)))
            .filter(|(_, _, id)| wanted == Wanted::Home || !taken.contains(id))
            .filter(|(_, _, id)| self.has_room(model, spec, *id, wanted))
            .filter_map(|(target, load, id)| {
                // One that is worn out is about to go.
                let tab = self.tabs.get(id).filter(|tab| tab.worn.is_none())?;
                let seat = Seat { tab: id, target, ready_since: tab.ready_since?, loaded: false };
                Some((key(target, id, tab.browser, load), seat))
            })
            .min_by_key(|(key, _)| *key)
            .map(|(_, seat)| seat)
    }

    /// Whether a stage fits beside what the tab holds. Spares of others make room for a home.
    fn has_room(&self, model: ModelId, spec: &StageSpec, tab: TabId, wanted: Wanted) -> bool {
        let Some(limit) = spec.tab_limit else { return true };
        let others =
            self.stages.held_by(tab).filter(|(of, _, is_home)| *of != model && (*is_home || wanted == Wanted::Spare));
        others.map(|(_, held, _)| held.bytes).sum::<u64>() + spec.bytes <= limit
    }

    fn make_room(&mut self, model: ModelId, tab: TabId) {
        let Some((bytes, limit)) =
            self.stages.get(model).and_then(|stage| Some((stage.spec.bytes, stage.spec.tab_limit?)))
        else {
            return;
        };
        let held: Vec<(ModelId, u64, bool)> =
            self.stages.held_by(tab).map(|(of, spec, is_home)| (of, spec.bytes, is_home)).collect();
        let mut sum: u64 = bytes + held.iter().filter(|(of, ..)| *of != model).map(|(_, bytes, _)| bytes).sum::<u64>();
        for (other, bytes, is_home) in held {
            if sum > limit && !is_home && other != model {
                sum -= bytes;
                self.leave(other, tab);
            }
        }
    }

    /// A stage for which there is no tab: its jobs wait while one may yet come up, and else end.
    fn without_home(&mut self, model: ModelId) {
        let targets = self.stage_targets(model);
        let Some(stage) = self.stages.get(model).filter(|_| !self.home_may_come(model)) else { return };
        let failure = if targets.is_empty() {
            self.no_target(stage.spec.allowed)
        } else {
            let (bytes, limit) = (stage.spec.bytes, stage.spec.tab_limit.unwrap_or_default());
            let message = format!(
                "no tab has room for a stage of {bytes} bytes: each may hold {limit} bytes of stages, and holds others"
            );
            Failure::new(Cause::NoTarget, message)
        };
        for job in stage.waiting() {
            self.end(job, failure.clone());
        }
    }

    fn hand_out_stage(&mut self, model: ModelId, now: Instant) {
        while let Some(stage) = self.stages.get(model)
            && let Some(Seat { tab, .. }) = stage.home
            && let Some(id) = stage.first_waiting()
            && self.takes(tab, id)
        {
            let load = self.tabs.get(tab).map_or(0, |tab| tab.in_flight.len());
            if self.hand_out(id, &[], tab, Placement::at_home(load), now).is_none() {
                return;
            }
        }
    }

    /// Whether a home is handed another job: what comes from the queue has to be done soon, too.
    fn takes(&self, tab_id: TabId, id: JobId) -> bool {
        let (Some(tab), Some(job)) = (self.tabs.get(tab_id), self.jobs.get(&id)) else { return false };
        let load = tab.in_flight.len();
        // Its inputs come from other stages and may be large: one stands in line however long the one before it takes.
        let has_room = load < 2 || !self.tabs.holds_enough(tab_id);
        !tab.is_alone
            && has_room
            && load < self.policy.in_flight_per_tab
            && !self.is_full(tab.target.browser)
            && (load == 0 || tab.bytes + job.spec.bytes <= self.policy.in_flight_bytes_per_tab)
    }
}

/// Which backend is taken when nothing else decides.
const fn rank(backend: Backend) -> u8 {
    match backend {
        Backend::Webgpu => 0,
        Backend::Webnn => 1,
        Backend::Wasm => 2,
    }
}
