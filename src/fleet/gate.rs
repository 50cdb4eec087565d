//! The way into the queue: who finds no room waits here, what matters most before the rest, or is told so.

use crate::{
    schedule::{Admission, Overload, QueueLimits},
    types::Priority,
};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// The way into the queue.
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
    waiting: BTreeMap<(Reverse<Priority>, u64), Waiter>,
    next: u64,
}

struct Waiter {
    bytes: u64,
    admitted: oneshot::Sender<Room>,
}

/// A job's room in the queue, given back when it is dropped.
pub(super) struct Room {
    gate: Gate,
    bytes: u64,
}

impl Gate {
    pub fn new(limits: QueueLimits) -> Self {
        let admission = Admission::new(limits);
        Self(Arc::new(Mutex::new(Inside { admission, refused: BTreeMap::new(), waiting: BTreeMap::new(), next: 0 })))
    }

    /// Room for a job, if there is some and nobody waits for it who matters as much.
    pub fn try_enter(&self, priority: Priority, bytes: u64) -> Result<Room, Overload> {
        let mut inside = self.lock();
        let first = inside.waiting.first_key_value().map(|((first, _), _)| first.0);
        if first.is_some_and(|first| first >= priority) {
            return Err(inside.admission.overload(priority));
        }
        inside.admission.enter(priority, bytes)?;
        Ok(Room { gate: self.clone(), bytes })
    }

    /// Waits for room.
    pub async fn enter(&self, priority: Priority, bytes: u64) -> Room {
        let admitted = {
            let mut inside = self.lock();
            let (sender, admitted) = oneshot::channel();
            let number = inside.next;
            inside.next += 1;
            inside.waiting.insert((Reverse(priority), number), Waiter { bytes, admitted: sender });
            admitted
        };
        self.admit();
        match admitted.await {
            Ok(room) => room,
            // A waiter is only ever removed with its room or after its caller has gone.
            Err(_) => std::future::pending().await,
        }
    }

    /// What somebody is told who found no room and goes away.
    pub fn refuse(&self, priority: Priority) -> Overload {
        let mut inside = self.lock();
        *inside.refused.entry(priority).or_default() += 1;
        inside.admission.overload(priority)
    }

    pub fn crowd(&self) -> Crowd {
        let inside = self.lock();
        Crowd { overload: inside.admission.overload(Priority::Critical), refused: inside.refused.clone() }
    }

    /// Lets in whoever there is room for.
    fn admit(&self) {
        while let Some(waiter) = self.next_admitted() {
            let room = Room { gate: self.clone(), bytes: waiter.bytes };
            // Whoever no longer waits gives it back by dropping it, which must not happen under the lock.
            drop(waiter.admitted.send(room));
        }
    }

    fn next_admitted(&self) -> Option<Waiter> {
        let mut inside = self.lock();
        while let Some(first) = inside.waiting.first_entry()
            && first.get().admitted.is_closed()
        {
            first.remove();
        }
        let (key, bytes) = inside.waiting.first_key_value().map(|(key, waiter)| (*key, waiter.bytes))?;
        inside.admission.enter(key.0.0, bytes).ok()?;
        inside.waiting.remove(&key)
    }

    /// A panic elsewhere leaves the counts as they were between two steps.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gate.lock().admission.leave(self.bytes, Instant::now());
        self.gate.admit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_matters_most_is_let_in_first_and_who_has_gone_takes_no_room() {
        let gate = Gate::new(QueueLimits { jobs: 1, bytes: 1000 });
        let held = gate.try_enter(Priority::Normal, 10).expect("it is empty");
        assert_eq!(gate.try_enter(Priority::Critical, 10).err().map(|overload| overload.jobs), Some(1));
        let (mut low, mut gone, mut critical) = (
            Box::pin(gate.enter(Priority::Low, 10)),
            Box::pin(gate.enter(Priority::Critical, 10)),
            Box::pin(gate.enter(Priority::Critical, 10)),
        );
        for waiting in [&mut low, &mut gone, &mut critical] {
            assert!(futures::poll!(waiting).is_pending());
        }
        drop(gone);
        drop(held);
        let room = critical.await;
        assert!(futures::poll!(&mut low).is_pending(), "there is room for one");
        assert!(gate.try_enter(Priority::Low, 10).is_err(), "others wait for it");
        drop(room);
        drop(low.await);
        assert!(gate.try_enter(Priority::Low, 10).is_ok());
    }
}
