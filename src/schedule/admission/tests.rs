use super::*;
use proptest::prelude::*;

const LIMITS: QueueLimits = QueueLimits { jobs: 100, bytes: 1000 };
const SECOND: Duration = Duration::from_secs(1);

/// A way in with a clock.
struct Door {
    admission: Admission,
    now: Instant,
    inside: Vec<Entrant>,
}

impl Door {
    fn new(limits: QueueLimits) -> Self {
        let admission = Admission::of_queue(limits, &Policy::default());
        Self { admission, now: Instant::now(), inside: Vec::new() }
    }

    fn entrant(&self, priority: Priority) -> Entrant {
        let (caller, model, expires) = (Caller::default(), ModelId(1), self.now + 3600 * SECOND);
        Entrant { priority, caller, model, bytes: 1, submitted: self.now, expires }
    }

    /// Somebody comes and stays.
    fn wait(&mut self, priority: Priority, change: impl FnOnce(&mut Entrant)) -> JobId {
        let mut entrant = self.entrant(priority);
        change(&mut entrant);
        self.admission.wait(entrant)
    }

    /// So many come and stay; as many as there is room for are let in.
    fn come(&mut self, count: usize, priority: Priority) -> Vec<JobId> {
        (0..count).for_each(|_| _ = self.wait(priority, |_| {}));
        self.let_in()
    }

    fn let_in(&mut self) -> Vec<JobId> {
        let let_in: Vec<_> = std::iter::from_fn(|| self.admission.next(self.now)).collect();
        self.inside.extend(let_in.iter().map(|(_, entrant)| *entrant));
        let_in.into_iter().map(|(id, _)| id).collect()
    }

    /// So many end; whoever is let in for them.
    fn end(&mut self, count: usize) -> Vec<JobId> {
        for ended in self.inside.drain(..count) {
            self.admission.leave(&ended, self.now);
        }
        self.let_in()
    }

    fn told(&self, priority: Priority) -> Overload {
        self.admission.overload(priority, 1, self.now)
    }
}

#[test]
fn what_matters_less_may_fill_only_a_part() {
    let mut door = Door::new(LIMITS);
    let inside: Vec<usize> = Priority::ALL
        .iter()
        .map(|priority| {
            door.come(100, *priority);
            door.inside.len()
        })
        .collect();
    assert_eq!(inside, [80, 90, 95, 100]);
    assert_eq!(door.end(6).len(), 6, "of those who matter most");
    let lowest = |door: &Door| door.inside.iter().filter(|entrant| entrant.priority == Priority::Low).count();
    assert_eq!((lowest(&door), door.inside.len()), (74, 100));
}

#[test]
fn inputs_fill_it_too_but_one_job_may_always_go() {
    let mut door = Door::new(LIMITS);
    let with = |bytes| move |entrant: &mut Entrant| entrant.bytes = bytes;
    door.wait(Priority::Low, with(5000));
    assert_eq!(door.let_in().len(), 1);
    let critical = door.wait(Priority::Critical, with(1));
    assert_eq!(door.let_in(), []);
    assert_eq!(door.end(1), [critical]);
    door.wait(Priority::Low, with(799));
    door.wait(Priority::Low, with(1));
    assert_eq!(door.let_in().len(), 1, "of 800 bytes that they may fill");
    door.wait(Priority::Critical, with(200));
    assert_eq!(door.let_in().len(), 1);
}

#[test]
fn who_comes_is_told_the_wait_by_how_fast_jobs_end_one_by_one_or_many_at_once() {
    for at_once in [1, 64] {
        let mut door = Door::new(QueueLimits { jobs: 640, bytes: 1 << 30 });
        door.come(640, Priority::Critical);
        assert_eq!(door.told(Priority::Critical).expected_wait, None, "none has ended");
        assert_eq!(door.told(Priority::Critical).retry_after, A_WHILE);
        for _ in 0..20 {
            door.now += SECOND;
            door.end(at_once);
            door.come(at_once, Priority::Critical);
            let told = door.told(Priority::Critical);
            let wait = told.expected_wait.unwrap().as_secs_f64();
            let right = 640.0 / at_once as f64;
            assert!((wait / right - 1.0).abs() < 1e-6, "{wait} s for {right} s");
            assert!((told.retry_after.as_secs_f64() * 640.0 / right - 1.0).abs() < 1e-6, "{told:?}");
        }
        // Idle hours are not what jobs take.
        door.end(640);
        door.now += 3600 * SECOND;
        door.come(640, Priority::Critical);
        let wait = door.told(Priority::Critical).expected_wait.unwrap();
        assert!(wait <= 640 * SECOND, "{wait:?}");
    }
}

#[test]
fn who_finds_others_waiting_is_told_to_come_after_them() {
    let mut door = Door::new(LIMITS);
    door.come(1090, Priority::Normal);
    door.now += SECOND;
    door.end(1);
    let told = door.told(Priority::Normal);
    assert_eq!((told.jobs, told.waiting), (90, 999));
    assert_eq!((told.expected_wait, told.retry_after), (Some(1089 * SECOND), 1000 * SECOND));
    let told = door.told(Priority::Critical);
    assert_eq!((told.jobs, told.waiting), (90, 0), "they do not go before it");
    assert_eq!(told.expected_wait, Some(Duration::ZERO));
}

#[test]
fn what_matters_is_not_told_of_a_wait_behind_what_does_not() {
    let mut door = Door::new(QueueLimits { jobs: 20_000, bytes: 1 << 30 });
    door.come(10_000, Priority::Low);
    door.come(3, Priority::High);
    door.now += SECOND;
    door.end(1);
    let wait = |priority| door.told(priority).expected_wait.unwrap();
    assert_eq!((wait(Priority::Critical), wait(Priority::High)), (Duration::ZERO, 3 * SECOND));
    assert_eq!(wait(Priority::Low), 10_002 * SECOND);
}

#[test]
fn who_brings_too_much_is_told_when_so_much_has_gone() {
    let mut door = Door::new(LIMITS);
    for _ in 0..10 {
        door.wait(Priority::Critical, |entrant| entrant.bytes = 100);
    }
    assert_eq!(door.let_in().len(), 10);
    door.now += SECOND;
    door.end(1);
    let retry = |bytes| door.admission.overload(Priority::Critical, bytes, door.now).retry_after;
    assert_eq!((retry(300), retry(5000)), (2 * SECOND, 9 * SECOND), "a hundred bytes a second; at last it is alone");
}

#[test]
fn a_caller_that_asks_for_much_waits_for_itself_and_not_others_for_it() {
    let mut door = Door::new(LIMITS);
    let (flood, few) = (Caller::new(1), Caller::new(3));
    for _ in 0..1000 {
        door.wait(Priority::Normal, |entrant| entrant.caller = flood);
    }
    assert_eq!(door.let_in().len(), 90);
    let of_few: Vec<JobId> = (0..6).map(|_| door.wait(Priority::Normal, |entrant| entrant.caller = few)).collect();
    let first: Vec<JobId> = (0..8).flat_map(|_| door.end(1)).collect();
    assert_eq!(first.iter().filter(|id| of_few.contains(id)).count(), 6, "three for one: {first:?}");
}

#[test]
fn a_steady_flow_of_what_matters_more_keeps_nobody_out_for_ever() {
    let mut door = Door::new(LIMITS);
    door.come(100, Priority::Critical);
    let normal = door.wait(Priority::Normal, |_| {});
    let policy = Policy::default();
    let enters = |door: &mut Door| {
        let entered = door.end(1);
        door.come(1, Priority::Critical);
        entered.contains(&normal)
    };
    for _ in 0..1000 {
        door.now += policy.aged_after / 1001;
        assert!(!enters(&mut door), "it is not aged");
    }
    door.now += policy.aged_after;
    assert!((0..policy.aged_share).any(|_| enters(&mut door)), "one of so many is the longest waiting");
    door.come(1, Priority::Normal);
    assert!(!door.end(1).is_empty(), "it holds up nobody");
}

proptest! {
    #[test]
    fn it_never_holds_more_than_its_limits(
        steps in prop::collection::vec((0..4_usize, 1..100_u64, 0..3_u8), 0..300),
    ) {
        let mut door = Door::new(LIMITS);
        let mut waiting = Vec::new();
        for (priority, bytes, what) in steps {
            match what {
                0 => drop(door.end(door.inside.len().min(1))),
                1 => waiting.pop().into_iter().for_each(|id| door.admission.give_up(id)),
                _ => waiting.push(door.wait(Priority::ALL[priority], |entrant| entrant.bytes = bytes)),
            }
            door.now += SECOND;
            door.let_in();
            waiting.retain(|id| door.admission.waiting.contains_key(id));
            let sum = door.inside.iter().map(|entrant| entrant.bytes).sum();
            prop_assert_eq!(door.admission.inside.all(), (door.inside.len(), sum));
            prop_assert_eq!((door.admission.outside.all().0, door.admission.line.len()), (waiting.len(), waiting.len()));
            prop_assert!(door.inside.len() <= LIMITS.jobs && sum <= LIMITS.bytes);
        }
    }
}
