//! A fleet far larger than any test of a single rule needs, for as long as it takes to wear most of its tabs out.

use super::*;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

const TABS: usize = 500;
const JOBS: usize = 20_000;
const TARGETS: [Target; 4] = [CHROME_WASM, CHROME_WEBGPU, FIREFOX_WASM, Target::new(Browser::Edge, Backend::Webnn)];
const CAUSES: [Cause; 6] =
    [Cause::ModelLoad, Cause::ModelRun, Cause::OutOfMemory, Cause::DeviceLost, Cause::BadInput, Cause::ModelDownload];

impl World {
    /// Something fails that is no answer to a job.
    fn break_something(&mut self, random: &mut ChaCha8Rng) {
        let tabs: Vec<TabId> = self.tabs.keys().copied().collect();
        let Some(tab) = tabs.choose(random).copied() else { return };
        match random.random_range(0..100) {
            0..40 => self.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") }),
            40..70 => self.cut(tab),
            70..95 => self.tell(Input::TabLost { tab, failure: crash() }),
            95..98 => self.canary = [None, Some(Cause::DeviceLost)].choose(random).copied().flatten(),
            98 => self.alive = !self.alive,
            _ => {
                let running: Vec<BrowserId> = self.browsers.keys().copied().collect();
                let Some(id) = running.choose(random).copied() else { return };
                let exit = self.browser_ends(id);
                self.tell(exit);
            }
        }
    }

    /// A worker answers the first of what it was handed.
    fn answer_one(&mut self, random: &mut ChaCha8Rng) {
        let busy: Vec<(TabId, JobId)> =
            self.handed.iter().filter_map(|(tab, jobs)| Some((*tab, *jobs.first()?))).collect();
        let Some((tab, job)) = busy.choose(random).copied() else { return };
        self.handed.get_mut(&tab).expect("an open tab").remove(0);
        self.tell(if random.random_bool(0.03) {
            let cause = *CAUSES.choose(random).expect("there are some");
            Input::AttemptFailed { tab, job, failure: Failure::new(cause, "failed") }
        } else {
            Input::AttemptSucceeded { tab, job, run: Duration::from_millis(random.random_range(5..15)) }
        });
    }
}

#[test]
fn five_hundred_tabs_that_fail_at_random_end_twenty_thousand_jobs_once_each() {
    let mut random = ChaCha8Rng::seed_from_u64(500);
    let retirement = Retirement { jobs: 10, jobs_not_before: Duration::ZERO, failures: 3, ..Retirement::default() };
    let tabs_per_target = TABS / TARGETS.len();
    let policy = Policy { tabs_per_target, restart_browser_after: 10, retirement, ..Policy::default() };
    let mut world = World::new(&TARGETS, policy);
    for n in 0..JOBS {
        let narrow = [TARGETS[n % TARGETS.len()]];
        let job = world.submit_spec(if n % 5 == 0 { &narrow } else { &TARGETS }, |spec| {
            spec.model = ModelId(random.random_range(0..10));
            spec.attempt_timeout = Duration::from_secs(5);
            spec.attempts = random.random_range(1..5);
        });
        if random.random_bool(0.01) {
            world.tell(Input::Cancel { job });
        }
        if random.random_bool(0.1) {
            world.break_something(&mut random);
        }
        // As many as were submitted, but in waves, so that tabs fill up and run dry.
        (0..if n % 2_000 < 1_000 { 0 } else { 2 }).for_each(|_| world.answer_one(&mut random));
        world.wait(Duration::from_millis(2));
        assert_eq!(world.scheduler.unfinished() + world.ended.len(), n + 1);
    }
    (world.canary, world.alive) = (None, true);
    while world.scheduler.unfinished() > 0 {
        for _ in 0..TABS {
            world.answer_one(&mut random);
        }
        world.wait(Duration::from_millis(100));
    }
    // What was handed out and then cancelled or expired is answered, too, or ends with its worker.
    world.wait(Duration::from_secs(10));
    let (with_result, without) = world.ended.values().partition::<Vec<_>, _>(|(how, _)| how.is_ok());
    assert_eq!(with_result.len() + without.len(), JOBS);
    assert!(with_result.len() > JOBS / 2, "the fleet goes on: {}", with_result.len());
    assert_eq!((world.scheduler.queued(), world.scheduler.permits_out()), (0, 0), "nothing is left behind");
    assert!(world.retired.len() > 50, "{} tabs wore out", world.retired.len());
    for target in TARGETS.iter().filter(|target| !world.given_up.contains(target)) {
        let tabs = world.tabs.values().filter(|(_, of)| of == target).count();
        assert_eq!(tabs, TABS / TARGETS.len(), "{target} has as many tabs as are wanted, and no worn one beside them");
    }
    let name = |model: ModelId| model.to_string();
    let health = world.scheduler.health(world.now, std::time::SystemTime::UNIX_EPOCH, name);
    let booked = health.recoveries.iter().map(|of| ((of.browser, of.category, of.strategy), (of.tried, of.succeeded)));
    assert_eq!(booked.collect::<BTreeMap<_, _>>(), world.told, "what is booked is what was told");
    assert!(world.restarted.len() > 1_000 && world.recoveries.len() > 3_000, "much was really broken");
}
