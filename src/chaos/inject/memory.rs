//! Memory that really runs out.

use super::{
    Done, Lasted, Refusal, Victim,
    processes::{Process, busy_renderer, gone},
};
use rustix::process::{Resource, Rlimit, prlimit};
use std::{io, time::Duration};

/// How long a renderer gets no more memory.
const SHORT: Duration = Duration::from_secs(10);

/// Whether a renderer still lives is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A limit on a process's memory, taken away when this is dropped.
struct Limited {
    process: Process,
    before: Rlimit,
}

impl Limited {
    /// Private memory that can be written (`RLIMIT_DATA`) can no longer grow from where it is. A limit of addresses would
    /// say less: a renderer reserves terabytes of them and uses few.
    fn to_what_it_has(process: Process) -> io::Result<Self> {
        let now = Rlimit { current: Some(0), maximum: None };
        let before = prlimit(Some(process.pid), Resource::Data, now)?;
        Ok(Self { process, before })
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // It fails when the process has ended of it.
        let _ = prlimit(Some(self.process.pid), Resource::Data, self.before.clone());
    }
}

pub(super) async fn end(victim: &Victim, browser: u32) -> Result<Done, Refusal> {
    let process = busy_renderer(victim, browser).await?;
    let done = Done::now(format!("renderer {} got no more memory", process.pid.as_raw_nonzero()));
    let limited = Limited::to_what_it_has(process).map_err(|error| match error.kind() {
        // A sandboxed process is not this user's to limit.
        io::ErrorKind::PermissionDenied => Refusal::Never(format!("its renderers cannot be limited: {error}")),
        _ => gone(error),
    })?;
    let lasting = async move {
        let end = tokio::time::Instant::now() + SHORT;
        while limited.process.lives() && tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Lasted::Over
    };
    Ok(Done { lasting: Some(Box::pin(lasting)), ..done })
}
