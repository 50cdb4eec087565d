//! The way into the queue, or to one of a number of turns: who finds no room waits here, what matters most before the
//! rest, or is told so.

use crate::{
    schedule::{Admission, Entrant, Overload, Policy, QueueLimits},
    types::{JobId, Priority},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// The way in.
#[derive(Clone)]
pub(super) struct Gate(Arc<Mutex<Inside>>);

/// How full it is inside, and how many were not let in.
pub(super) struct Crowd {
    pub overload: Overload,
    pub refused: BTreeMap<Priority, u64>,
}

struct Inside {
    admission: Admission,
    refused: BTreeMap<Priority, u64>,
    waiting: HashMap<JobId, oneshot::Sender<Room>>,
}

/// A job's room, given back when it is dropped.
pub(super) struct Room {
    gate: Gate,
    entrant: Entrant,
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    gate: &'a Gate,
    id: JobId,
}

impl Gate {
    /// The way into the queue.
    pub fn of_queue(limits: QueueLimits, policy: &Policy) -> Self {
        Self::new(Admission::of_queue(limits, policy))
    }

    /// The way to so many turns.
    pub fn of_turns(most: usize, policy: &Policy) -> Self {
        Self::new(Admission::of_turns(most, policy))
    }

    fn new(admission: Admission) -> Self {
        Self(Arc::new(Mutex::new(Inside { admission, refused: BTreeMap::new(), waiting: HashMap::new() })))
    }

    /// Room for a job, if there is some and nobody waits for it whose turn comes first.
    pub fn try_enter(&self, entrant: Entrant) -> Option<Room> {
        let (place, mut admitted) = self.wait(entrant);
        self.admit();
        drop(place);
        admitted.try_recv().ok()
    }

    /// Waits for room.
    pub async fn enter(&self, entrant: Entrant) -> Room {
        let (_place, admitted) = self.wait(entrant);
        self.admit();
        match admitted.await {
            Ok(room) => room,
            // Who waits is only ever taken out of the line with room, or by going away.
            Err(_) => std::future::pending().await,
        }
    }

    /// What somebody is told who found no room and goes away.
    pub fn refuse(&self, entrant: &Entrant) -> Overload {
        let mut inside = self.lock();
        *inside.refused.entry(entrant.priority).or_default() += 1;
        inside.admission.overload(entrant.priority, entrant.bytes, Instant::now())
    }

    /// How full it is for a job as most are.
    pub fn crowd(&self) -> Crowd {
        let inside = self.lock();
        let overload = inside.admission.overload(Priority::Normal, 0, Instant::now());
        Crowd { overload, refused: inside.refused.clone() }
    }

    /// Jobs that may be inside at once.
    pub fn most(&self) -> usize {
        self.lock().admission.most()
    }

    fn wait(&self, entrant: Entrant) -> (Place<'_>, oneshot::Receiver<Room>) {
        let (sender, admitted) = oneshot::channel();
        let mut inside = self.lock();
        let id = inside.admission.wait(entrant);
        inside.waiting.insert(id, sender);
        (Place { gate: self, id }, admitted)
    }

    /// Lets in whoever there is room for.
    fn admit(&self) {
        while let Some((sender, entrant)) = self.next_admitted() {
            let room = Room { gate: self.clone(), entrant };
            // Whoever no longer waits gives it back by dropping it, which must not happen under the lock.
            drop(sender.map(|sender| sender.send(room)));
        }
    }

    fn next_admitted(&self) -> Option<(Option<oneshot::Sender<Room>>, Entrant)> {
        let mut inside = self.lock();
        let (id, entrant) = inside.admission.next(Instant::now())?;
        Some((inside.waiting.remove(&id), entrant))
    }

    /// A panic elsewhere leaves the counts as they were between two steps.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gate.lock().admission.leave(&self.entrant, Instant::now());
        self.gate.admit();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        if inside.waiting.remove(&self.id).is_some() {
            inside.admission.give_up(self.id);
            drop(inside);
            self.gate.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Caller, ModelId};
    use std::time::Duration;

    fn entrant(priority: Priority) -> Entrant {
        let submitted = Instant::now();
        let (caller, model, expires) = (Caller::default(), ModelId(1), submitted + Duration::from_secs(60));
        Entrant { priority, caller, model, bytes: 10, submitted, expires }
    }

    #[tokio::test]
    async fn what_matters_most_is_let_in_first_and_who_has_gone_takes_no_room() {
        let gate = Gate::of_queue(QueueLimits { jobs: 1, bytes: 1000 }, &Policy::default());
        let held = gate.try_enter(entrant(Priority::Normal)).expect("it is empty");
        assert!(gate.try_enter(entrant(Priority::Critical)).is_none(), "it is full");
        let [mut low, mut gone, mut critical] = [Priority::Low, Priority::Critical, Priority::Critical]
            .map(|priority| Box::pin(gate.enter(entrant(priority))));
        for waiting in [&mut low, &mut gone, &mut critical] {
            assert!(futures::poll!(waiting).is_pending());
        }
        assert_eq!(gate.refuse(&entrant(Priority::Critical)).waiting, 2);
        drop(gone);
        assert_eq!(gate.refuse(&entrant(Priority::Critical)).waiting, 1);
        drop(held);
        let room = critical.await;
        assert!(futures::poll!(&mut low).is_pending(), "there is room for one");
        assert!(gate.try_enter(entrant(Priority::Low)).is_none(), "others wait for it");
        drop(room);
        drop(low.await);
        assert!(gate.try_enter(entrant(Priority::Low)).is_some());
    }

    #[tokio::test]
    async fn turns_are_all_for_whoever_comes_first_in_the_line() {
        let gate = Gate::of_turns(2, &Policy::default());
        let taken = [(); 2].map(|()| gate.try_enter(entrant(Priority::Low)).expect("both are for anybody"));
        let mut low: Vec<_> = (0..1000).map(|_| Box::pin(gate.enter(entrant(Priority::Low)))).collect();
        for waiting in &mut low {
            assert!(futures::poll!(waiting).is_pending());
        }
        let mut critical = Box::pin(gate.enter(entrant(Priority::Critical)));
        assert!(futures::poll!(&mut critical).is_pending());
        drop(taken);
        let rooms = [futures::poll!(&mut critical), futures::poll!(&mut low[0]), futures::poll!(&mut low[1])];
        assert_eq!(rooms.each_ref().map(std::task::Poll::is_ready), [true, true, false], "it goes before a thousand");
    }
}
