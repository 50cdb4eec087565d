//! Jobs that run together, in the simulated world: who goes with whom, and that each still ends by itself and once.

use super::*;

const BOTH: [Target; 2] = [CHROME_WASM, FIREFOX_WASM];

fn spec(kind: u64, rows: usize) -> BatchSpec {
    let estimate = Duration::from_micros(10);
    BatchSpec { alike: [kind].into(), rows, estimate, batching: Batching::default() }
}

/// One job at a time in the tab.
fn one_by_one() -> Policy {
    Policy { in_flight_per_tab: 1, ..one_tab() }
}

impl World {
    fn submit_rows(&mut self, kind: u64, rows: usize, change: impl FnOnce(&mut JobSpec)) -> JobId {
        self.submit_spec(&BOTH, |spec_| {
            spec_.batch = Some(spec(kind, rows));
            spec_.attempt_timeout = Duration::from_secs(30);
            change(spec_);
        })
    }

    /// A job that keeps the only tab busy, so that all others wait.
    fn occupied() -> (Self, JobId) {
        let mut world = Self::new(&[CHROME_WASM], one_by_one());
        world.run = Duration::from_micros(100);
        let first = world.submit_rows(1, 1, |_| {});
        (world, first)
    }

    /// The jobs of the run that the job leads.
    fn run_of(&self, job: JobId) -> Vec<JobId> {
        std::iter::once(job).chain(self.together[&job].iter().copied()).collect()
    }

    /// Every run that tabs hold.
    fn runs(&self) -> Vec<Vec<JobId>> {
        self.handed.values().flatten().map(|job| self.run_of(*job)).collect()
    }

    /// Answers every run until there is none: with a failure where it has one of these jobs in it.
    fn answer_all(&mut self, bad: &[JobId], cause: Cause) {
        while let Some(run) = self.runs().first().cloned() {
            let fails = run.iter().any(|job| bad.contains(job));
            self.answer(run[0], fails.then(|| Failure::new(cause, "one of them")));
            self.wait(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_waits_and_is_alike_goes_together_and_each_ends() {
    let (mut world, first) = World::occupied();
    let alike: Vec<JobId> = (1..9).map(|rows| world.submit_rows(1, rows, |_| {})).collect();
    let other = world.submit_rows(2, 1, |_| {});
    let alone = world.submit(&BOTH);
    world.answer(first, None);
    assert_eq!(world.runs().concat(), alike, "neither of another shape nor of a model that is not batched");
    world.answer(alike[0], None);
    world.answer_all(&[], Cause::ModelRun);
    for job in alike.into_iter().chain([first, other, alone]) {
        assert_eq!(world.ended[&job], (Ok(()), Vec::new()));
    }
    assert_eq!((world.scheduler.unfinished(), world.scheduler.permits_out()), (0, 0));
}

#[test]
fn one_bad_job_of_sixteen_fails_alone() {
    for cause in [Cause::ModelRun, Cause::BadInput, Cause::WorkerCrashed, Cause::OutOfMemory] {
        for bad in [0, 7, 15] {
            let (mut world, first) = World::occupied();
            let jobs: Vec<JobId> = (0..16).map(|_| world.submit_rows(1, 1, |spec| spec.attempts = 1)).collect();
            world.answer(first, None);
            assert_eq!(world.runs().concat(), jobs);
            world.answer_all(&[jobs[bad]], cause);
            for (index, job) in jobs.iter().enumerate() {
                let expected = if index == bad { (Err(cause), 1) } else { (Ok(()), 0) };
                let (end, attempts) = &world.ended[job];
                assert_eq!((*end, attempts.len()), expected, "{cause}, bad {bad}, job {index}");
            }
            assert_eq!(world.split, [16, 8, 4, 2], "{cause}");
            assert_eq!((world.scheduler.unfinished(), world.scheduler.permits_out()), (0, 0));
        }
    }
}

#[test]
fn a_model_that_cannot_be_loaded_fails_for_all_at_once() {
    let (mut world, first) = World::occupied();
    let jobs: Vec<JobId> = (0..8).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    world.answer(first, None);
    world.answer_all(&jobs, Cause::ModelLoad);
    assert!(jobs.iter().all(|job| world.ended[job].0 == Err(Cause::ModelLoad)));
    assert_eq!(world.split, [0_u32; 0]);
}

#[test]
fn a_tab_that_dies_with_a_batch_loses_and_doubles_nothing() {
    for how in [crash(), Failure::new(Cause::SocketClosed, "cut")] {
        let (mut world, first) = World::occupied();
        let jobs: Vec<JobId> = (0..16).map(|_| world.submit_rows(1, 1, |spec| spec.attempts = 1)).collect();
        world.answer(first, None);
        let tab = world.tab_of(jobs[0]).expect("handed out");
        if how.cause == Cause::SocketClosed {
            world.cut(tab);
            world.wait(Duration::from_secs(1));
        } else {
            world.tell(Input::TabLost { tab, failure: how.clone() });
        }
        assert_eq!(world.split, [16], "it is told: {how}");
        world.answer_all(&[], Cause::ModelRun);
        for job in &jobs {
            assert_eq!(world.ended[job], (Ok(()), Vec::new()), "{how}: nobody's attempt was spent");
        }
        assert_eq!((world.scheduler.unfinished(), world.scheduler.permits_out()), (0, 0));
    }
}

#[test]
fn who_is_cancelled_or_due_leaves_the_others_to_their_run() {
    let (mut world, first) = World::occupied();
    let jobs: Vec<JobId> = (0..4)
        .map(|n| {
            world.submit_rows(1, 1, |spec| {
                if n == 2 {
                    spec.expires -= Duration::from_secs(58)
                }
            })
        })
        .collect();
    world.answer(first, None);
    let mut run = world.runs().remove(0);
    let leader = run[0];
    run.sort_unstable();
    assert_eq!(run, jobs, "a second and more is left of it");
    world.tell(Input::Cancel { job: jobs[0] });
    world.wait(Duration::from_secs(3));
    assert_eq!(world.ended[&jobs[0]].0, Err(Cause::Cancelled));
    assert_eq!(world.ended[&jobs[2]].0, Err(Cause::DeadlineExceeded));
    assert_eq!(world.restarted, [], "others wait for it");
    world.answer(leader, None);
    assert_eq!((world.ended[&jobs[1]].0, world.ended[&jobs[3]].0), (Ok(()), Ok(())));
    // Only when nobody waits any more is the work stopped.
    let all: Vec<JobId> = (0..3).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    all.iter().for_each(|job| world.tell(Input::Cancel { job: *job }));
    world.wait(Duration::from_secs(2));
    assert!(all.iter().all(|job| world.ended[job].0 == Err(Cause::Cancelled)));
    assert_eq!(world.scheduler.unfinished(), 0);
}

#[test]
fn idle_tabs_share_what_waits() {
    let mut world = World::new(&BOTH, one_by_one());
    world.run = Duration::from_micros(100);
    let busy = [0; 2].map(|_| world.submit_rows(1, 1, |_| {}));
    let together: Vec<JobId> = (0..16).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    world.answer(busy[0], None);
    assert_eq!(world.runs().iter().map(Vec::len).max(), Some(16), "one tab was idle");
    world.answer_all(&[], Cause::ModelRun);
    // As many are waited for as were there, and then both tabs are.
    let jobs: Vec<JobId> = (0..16).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    assert_eq!(world.runs().iter().map(Vec::len).collect::<Vec<_>>(), [8, 8]);
    world.answer_all(&[], Cause::ModelRun);
    assert!(busy.iter().chain(&together).chain(&jobs).all(|job| world.ended[job].0 == Ok(())));
}

#[test]
fn a_job_of_another_model_passes_one_whose_runs_every_tab_holds_enough_of() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.run = Duration::from_micros(100);
    let other = |world: &mut World| world.submit_spec(&BOTH, |spec| spec.model = ModelId(2));
    for _ in 0..5 {
        let job = other(&mut world);
        world.answer(job, None);
        let job = world.submit_rows(1, 1, |_| {});
        world.answer(job, None);
    }
    let held: Vec<JobId> = (0..2).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    let waiting = world.submit_rows(1, 1, |spec| spec.priority = Priority::Critical);
    assert_eq!((world.runs().concat(), world.tab_of(waiting)), (held, None));
    let other = other(&mut world);
    assert!(world.tab_of(other).is_some(), "it is of no run that would be larger for it");
    let [first, _] = [world.runs()[0][0], other];
    world.answer(first, None);
    assert!(world.tab_of(waiting).is_some(), "whatever else the tab holds");
}

/// Callers with so much weight each ask for a thousand, the one after the other: how many of the first so many that run are
/// whose.
fn share_of_the_first(most: usize, weights: [u32; 2]) -> [usize; 2] {
    let (mut world, first) = World::occupied();
    let callers = weights.map(Caller::new);
    let asked: [Vec<JobId>; 2] =
        callers.map(|caller| (0..1_000).map(|_| world.submit_rows(1, 1, |spec| spec.caller = caller)).collect());
    world.answer(first, None);
    let mut ran = Vec::new();
    while ran.len() < most {
        let run = world.runs().remove(0);
        assert!(run.len() >= 32, "they go together: {}", run.len());
        world.wait(Duration::from_millis(1));
        world.answer(run[0], None);
        ran.extend(run);
    }
    ran.truncate(most);
    asked.map(|jobs| ran.iter().filter(|job| jobs.binary_search(job).is_ok()).count())
}

#[test]
fn callers_take_turns_within_a_run_by_their_weights() {
    let [first, second] = share_of_the_first(512, [1, 1]);
    assert!(first.abs_diff(second) <= 64, "{first} and {second}");
    let [first, second] = share_of_the_first(512, [1, 3]);
    assert!(second.abs_diff(3 * first) <= 64, "{first} and {second}");
}

#[test]
fn a_run_of_many_passes_over_the_longest_waiting_once() {
    let (mut world, first) = World::occupied();
    let low: Vec<JobId> = (0..30).map(|_| world.submit_rows(1, 1, |spec| spec.priority = Priority::Low)).collect();
    world.wait(Policy::default().aged_after);
    let critical = |world: &mut World, jobs: usize| {
        (0..jobs).for_each(|_| _ = world.submit_rows(1, 1, |spec| spec.priority = Priority::Critical));
    };
    critical(&mut world, 200);
    world.answer(first, None);
    let mut of_low = 0;
    for _ in 0..40 {
        let run = world.runs().remove(0);
        of_low += usize::from(run.iter().any(|job| low.contains(job)));
        world.wait(Duration::from_millis(1));
        world.answer(run[0], None);
        critical(&mut world, run.len());
    }
    assert_eq!(of_low, 40 / Policy::default().aged_share as usize, "one of so many runs");
}

#[test]
fn many_callers_that_ask_again_when_answered_are_served_in_few_runs_and_one_alone_at_once() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.run = Duration::from_micros(300);
    (0..64).for_each(|_| _ = world.submit_rows(1, 1, |_| {}));
    let mut sizes = Vec::new();
    for _ in 0..100 {
        let run = world.runs().first().cloned().expect("the tab has work");
        world.wait(Duration::from_millis(1));
        world.answer(run[0], None);
        (0..run.len()).for_each(|_| _ = world.submit_rows(1, 1, |_| {}));
        sizes.push(run.len());
    }
    let late = &sizes[50..];
    assert!(late.iter().sum::<usize>() >= 16 * late.len(), "{sizes:?}");

    while let Some(run) = world.runs().first().cloned() {
        world.answer(run[0], None);
        world.wait(Duration::from_millis(3));
    }
    let mut waited = Duration::ZERO;
    for _ in 0..100 {
        let job = world.submit_rows(1, 1, |_| {});
        while world.tab_of(job).is_none() {
            world.wait(Duration::from_micros(100));
            waited += Duration::from_micros(100);
        }
        world.answer(job, None);
    }
    assert!(waited < Duration::from_millis(20), "a hundred jobs waited {waited:?}, all together");
}

#[test]
fn what_matters_much_takes_along_only_what_matters_as_much() {
    let (mut world, first) = World::occupied();
    let normal = world.submit_rows(1, 1, |_| {});
    let critical = [0; 2].map(|_| world.submit_rows(1, 1, |spec| spec.priority = Priority::Critical));
    world.answer(first, None);
    assert_eq!(world.runs(), [critical.to_vec()]);
    world.answer(critical[0], None);
    assert_eq!(world.runs(), [vec![normal]]);
}

#[test]
fn a_model_whose_outputs_are_no_rows_runs_its_jobs_alone_from_then_on() {
    let (mut world, first) = World::occupied();
    let jobs: Vec<JobId> = (0..4).map(|_| world.submit_rows(1, 1, |_| {})).collect();
    world.answer(first, None);
    world.tell(Input::CannotBatch { model: ModelId(1) });
    world.answer(jobs[0], Some(Failure::new(Cause::BadInput, "no rows")));
    let later = [0; 2].map(|_| world.submit_rows(1, 1, |_| {}));
    while let Some(run) = world.runs().first().cloned() {
        assert_eq!(run.len(), 1);
        world.answer(run[0], None);
    }
    assert!(jobs.iter().chain(&later).all(|job| world.ended[job] == (Ok(()), Vec::new())));
}

proptest! {
    /// Jobs of several kinds come, are cancelled and answered, and tabs fail, in any order: every job ends once, by its own
    /// doing, and nobody is run with what is not alike.
    #[test]
    fn every_job_ends_once_by_its_own_doing(
        steps in prop::collection::vec((0..10_u8, 1..4_u64, 1..5_usize, any::<bool>()), 1..150),
    ) {
        let policy = Policy { in_flight_per_tab: 2, retry_pause: Duration::from_millis(1), ..one_tab() };
        let mut world = World::new(&BOTH, policy);
        let (mut kinds, mut bad, mut all) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (step, kind, rows, is_bad) in steps {
            match step {
                0..=4 => {
                    let job = world.submit_rows(kind, rows, |spec| spec.attempts = 8);
                    kinds.insert(job, kind);
                    all.push(job);
                    if is_bad && rows == 1 {
                        bad.push(job);
                    }
                }
                5 | 6 => {
                    if let Some(run) = world.runs().first().cloned() {
                        let fails = run.iter().any(|job| bad.contains(job));
                        world.answer(run[0], fails.then(|| Failure::new(Cause::ModelRun, "one of them")));
                    }
                }
                7 => {
                    if let Some(job) = all.get(rows * 3) {
                        world.tell(Input::Cancel { job: *job });
                    }
                }
                8 => {
                    let tab = world.tabs.keys().next().copied();
                    if let Some(tab) = tab.filter(|_| is_bad) {
                        world.cut(tab);
                    }
                }
                _ => world.wait(Duration::from_millis(3)),
            }
            for run in world.runs() {
                // A job that has ended is told of no more; those with it are alike all the same.
                let of: BTreeSet<_> = run.iter().map(|job| kinds[job]).collect();
                prop_assert_eq!(of.len(), 1, "{:?}", run);
            }
        }
        world.wait(Duration::from_secs(1));
        world.answer_all(&bad, Cause::ModelRun);
        world.wait(Duration::from_secs(1));
        world.answer_all(&bad, Cause::ModelRun);
        for job in &all {
            let (end, attempts) = &world.ended[job];
            let cut = attempts.iter().any(|attempt| attempt.failure.cause == Cause::SocketClosed);
            let expected = match end {
                Err(Cause::ModelRun) => bad.contains(job),
                Err(Cause::Cancelled) => true,
                Err(_) => cut,
                Ok(()) => !bad.contains(job),
            };
            prop_assert!(expected, "{job:?} ended with {end:?} after {attempts:?}");
        }
        prop_assert_eq!((world.scheduler.unfinished(), world.scheduler.permits_out()), (0, 0));
    }
}
