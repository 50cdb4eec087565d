use super::*;
use crate::types::{Backend, Browser};
use proptest::prelude::*;
use std::collections::BTreeSet;

const CHROME: Target = Target::new(Browser::Chrome, Backend::Wasm);
const FIREFOX: Target = Target::new(Browser::Firefox, Backend::Wasm);
const AGEING: Ageing = Ageing { after: Duration::from_secs(10), share: 4 };

/// A queue with a clock, from which jobs are taken one by one.
struct Bench {
    queue: Queue,
    start: Instant,
    now: Instant,
    waiting: BTreeMap<JobId, (TargetSet, Ticket)>,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        Self { queue: Queue::new(AGEING), start, now: start, waiting: BTreeMap::new(), next: 1 }
    }

    fn submit(&mut self, change: impl FnOnce(&mut Ticket)) -> JobId {
        self.submit_to(&[CHROME, FIREFOX], change)
    }

    fn submit_to(&mut self, targets: &[Target], change: impl FnOnce(&mut Ticket)) -> JobId {
        let (job, order) = (JobId(self.next), self.next);
        self.next += 1;
        let mut ticket = Ticket {
            job,
            order,
            submitted: self.now,
            expires: self.now + Duration::from_secs(3600),
            priority: Priority::Normal,
            caller: Caller::default(),
            model: ModelId(1),
        };
        change(&mut ticket);
        let route = targets.iter().copied().collect();
        self.queue.insert(route, &ticket);
        self.waiting.insert(job, (route, ticket));
        job
    }

    /// A tab of `target` is free.
    fn take(&mut self, target: Target) -> Option<JobId> {
        let job = self.queue.first(&[], |route| route.contains(target))?;
        let (route, ticket) = self.waiting.remove(&job).expect("what waits was submitted");
        self.queue.take(route, &ticket, target, self.now);
        Some(job)
    }

    /// So many of those that came last go along with another.
    fn take_along(&mut self, jobs: usize) -> Vec<JobId> {
        let along: Vec<JobId> = self.waiting.keys().rev().take(jobs).copied().collect();
        for job in &along {
            let (route, ticket) = self.waiting.remove(job).expect("it waits");
            self.queue.take_along(route, &ticket);
        }
        along
    }

    fn take_all(&mut self) -> Vec<JobId> {
        std::iter::from_fn(|| self.take(CHROME)).collect()
    }
}

#[test]
fn priority_comes_first_then_the_deadline_then_arrival() {
    let mut bench = Bench::new();
    let soon = bench.now + Duration::from_secs(5);
    let [low, late, early, urgent, critical] = [
        (Priority::Low, false),
        (Priority::Normal, false),
        (Priority::Normal, true),
        (Priority::High, false),
        (Priority::Critical, false),
    ]
    .map(|(priority, soonest)| {
        bench.submit(|ticket| {
            ticket.priority = priority;
            if soonest {
                ticket.expires = soon;
            }
        })
    });
    let last = bench.submit(|_| {});
    assert_eq!(bench.take_all(), [critical, urgent, early, late, last, low]);
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn callers_take_turns_by_their_weights_however_much_one_asks_for() {
    let mut bench = Bench::new();
    let (heavy, light) = (Caller::new(1), Caller::new(3));
    let flood: Vec<JobId> = (0..100).map(|_| bench.submit(|ticket| ticket.caller = heavy)).collect();
    let few: Vec<JobId> = (0..30).map(|_| bench.submit(|ticket| ticket.caller = light)).collect();
    let first: Vec<JobId> = (0..40).filter_map(|_| bench.take(CHROME)).collect();
    let of = |jobs: &[JobId]| first.iter().filter(|job| jobs.contains(job)).count();
    assert_eq!((of(&flood), of(&few)), (10, 30), "three for one");
}

#[test]
fn a_caller_that_asks_for_one_at_a_time_does_not_go_before_one_that_waits() {
    let mut bench = Bench::new();
    let (patient, eager) = (Caller::new(1), Caller::new(1));
    (0..20).for_each(|_| _ = bench.submit(|ticket| ticket.caller = patient));
    let mut of_eager = 0;
    let mut asked = bench.submit(|ticket| ticket.caller = eager);
    for _ in 0..20 {
        if bench.take(CHROME) == Some(asked) {
            of_eager += 1;
            asked = bench.submit(|ticket| ticket.caller = eager);
        }
    }
    assert_eq!(of_eager, 10, "they take turns");
}

#[test]
fn the_models_of_a_caller_share_its_turns() {
    let mut bench = Bench::new();
    let (one, many) = (Caller::new(1), Caller::new(1));
    (0..60).for_each(|_| _ = bench.submit(|ticket| ticket.caller = one));
    for model in 0..3 {
        (0..60).for_each(|_| _ = bench.submit(|ticket| (ticket.caller, ticket.model) = (many, ModelId(model))));
    }
    let caller_of: BTreeMap<JobId, Ticket> = bench.waiting.iter().map(|(job, (_, ticket))| (*job, *ticket)).collect();
    let taken: Vec<Ticket> = (0..60).filter_map(|_| bench.take(CHROME)).map(|job| caller_of[&job]).collect();
    assert_eq!(taken.iter().filter(|ticket| ticket.caller == one).count(), 30);
    for model in 0..3 {
        let of_model = |ticket: &&Ticket| ticket.caller == many && ticket.model == ModelId(model);
        assert_eq!(taken.iter().filter(of_model).count(), 10);
    }
}

#[test]
fn who_comes_later_starts_where_the_others_are() {
    let mut bench = Bench::new();
    let (old, new) = (Caller::new(1), Caller::new(1));
    (0..200).for_each(|_| _ = bench.submit(|ticket| ticket.caller = old));
    (0..100).for_each(|_| _ = bench.take(CHROME));
    let jobs: BTreeSet<JobId> = (0..50).map(|_| bench.submit(|ticket| ticket.caller = new)).collect();
    let of_new = (0..20).filter_map(|_| bench.take(CHROME)).filter(|job| jobs.contains(job)).count();
    assert_eq!(of_new, 10, "neither before all the others nor behind them");
}

#[test]
fn a_job_for_a_busy_target_holds_up_none_for_a_free_one() {
    let mut bench = Bench::new();
    let firefox = bench.submit_to(&[FIREFOX], |ticket| ticket.priority = Priority::Critical);
    let chrome = bench.submit_to(&[CHROME], |_| {});
    assert_eq!(bench.take(CHROME), Some(chrome));
    assert_eq!(bench.take(CHROME), None);
    assert_eq!(bench.take(FIREFOX), Some(firefox));
}

#[test]
fn what_is_removed_is_gone_and_costs_nobody_a_turn() {
    let mut bench = Bench::new();
    let (one, other) = (Caller::new(1), Caller::new(1));
    let jobs: Vec<JobId> = (0..10).map(|_| bench.submit(|ticket| ticket.caller = one)).collect();
    for job in &jobs[..9] {
        let (route, ticket) = bench.waiting.remove(job).expect("it waits");
        bench.queue.remove(route, &ticket);
        bench.queue.remove(route, &ticket);
    }
    let late = bench.submit(|ticket| ticket.caller = other);
    assert_eq!(bench.queue.len(), 2);
    assert_eq!(bench.take_all(), [jobs[9], late]);
}

/// What happens to a queue: jobs come, tabs get free, time passes.
#[derive(Clone, Debug)]
enum Step {
    Submit { priority: usize, caller: usize, model: u64, firefox_only: bool, expires_s: u64 },
    Take { firefox: bool, along: usize },
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4_usize, 0..3_usize, 0..3_u64, any::<bool>(), 1..4000_u64).prop_map(
            |(priority, caller, model, firefox_only, expires_s)| {
                Step::Submit { priority, caller, model, firefox_only, expires_s }
            }
        ),
        4 => (any::<bool>(), 0..4_usize).prop_map(|(firefox, along)| Step::Take { firefox, along }),
        1 => (1..3_000_u64).prop_map(|ms| Step::Wait { ms }),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    /// The bound that the queue's documentation states.
    #[test]
    fn nobody_waits_for_ever(before in steps(), after in steps()) {
        let callers = [Caller::new(1), Caller::new(2), Caller::new(100)];
        let mut bench = Bench::new();
        let submit = |bench: &mut Bench, step: &Step| {
            if let Step::Submit { priority, caller, model, firefox_only, expires_s } = *step {
                let targets: &[Target] = if firefox_only { &[FIREFOX] } else { &[CHROME, FIREFOX] };
                let expires = bench.now + Duration::from_secs(expires_s);
                bench.submit_to(targets, |ticket| {
                    (ticket.priority, ticket.caller) = (Priority::ALL[priority], callers[caller]);
                    (ticket.model, ticket.expires) = (ModelId(model), expires);
                });
            }
        };
        for step in &before {
            submit(&mut bench, step);
        }
        // The least of all: low, with a deadline far away.
        let far = bench.now + Duration::from_secs(100_000);
        let least = bench.submit(|ticket| (ticket.priority, ticket.expires) = (Priority::Low, far));
        let older = bench.waiting.len() as u64 - 1;
        bench.now += AGEING.after;
        let mut handed_out = 0;
        for step in after.iter().cycle().take(20_000) {
            submit(&mut bench, step);
            match *step {
                Step::Take { firefox, along } => {
                    let taken = bench.take(if firefox { FIREFOX } else { CHROME });
                    handed_out += u64::from(taken.is_some());
                    // However many go along, it is one run.
                    bench.take_along(along);
                }
                Step::Wait { ms } => bench.now += Duration::from_millis(ms),
                Step::Submit { .. } => {}
            }
            if !bench.waiting.contains_key(&least) {
                break;
            }
            prop_assert!(handed_out < u64::from(AGEING.share) * (older + 1), "{handed_out} before it, {older} older");
        }
    }

    #[test]
    fn what_goes_in_comes_out_once(steps in steps()) {
        let mut bench = Bench::new();
        let mut taken = BTreeSet::new();
        for step in &steps {
            match *step {
                Step::Submit { priority, model, .. } => {
                    bench.submit(|ticket| {
                        (ticket.priority, ticket.model) = (Priority::ALL[priority], ModelId(model));
                    });
                }
                Step::Take { firefox, along } => {
                    taken.extend(bench.take_along(along));
                    if let Some(job) = bench.take(if firefox { FIREFOX } else { CHROME }) {
                        prop_assert!(taken.insert(job));
                    }
                }
                Step::Wait { ms } => bench.now += Duration::from_millis(ms),
            }
            prop_assert_eq!(bench.queue.len(), bench.waiting.len());
        }
        taken.extend(bench.take_all());
        prop_assert_eq!(taken.len() as u64, bench.next - 1);
        prop_assert!(bench.queue.groups.is_empty() && bench.now >= bench.start);
    }
}
