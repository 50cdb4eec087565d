//! Memory that really runs out.

use super::{
    Done, HarmfulModels, Lasted, Refusal, Victim,
    processes::{Process, gone, renderers},
};
use rustix::process::{Resource, Rlimit, prlimit};
use std::{io, time::Duration};

/// How long a browser's renderers get no more memory at most.
const SHORT: Duration = Duration::from_secs(10);

/// A limit on a process's memory, taken away when this is dropped.
struct Limited {
    process: Process,
    before: Rlimit,
}

impl Limited {
    /// Private memory that can be written (`RLIMIT_DATA`) can no longer grow from where it is. A limit of addresses would
    /// say less: a renderer reserves terabytes of them and uses few. A limit of 0 would be none: Linux lets it pass, for
    /// Valgrind's sake.
    fn to_what_it_has(process: Process) -> io::Result<Self> {
        let none_more = Rlimit { current: Some(1), maximum: None };
        let before = prlimit(Some(process.pid), Resource::Data, none_more)?;
        Ok(Self { process, before })
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // It fails when the process has ended of it.
        let _ = prlimit(Some(self.process.pid), Resource::Data, self.before);
    }
}

/// The browser's renderers get no more memory, and one of them is given a model that needs much. (Without one, a
/// Chromium under steady load was not seen to need any in ten seconds: it uses again what it has freed.)
pub(super) fn end(victim: &Victim, browser: u32, models: &HarmfulModels) -> Result<Done, Refusal> {
    let (target, hungry) = models.hungry_job(victim)?;
    let processes = renderers(victim.kind, browser).into_iter().filter_map(|pid| Process::open(pid).ok());
    let done = Done::now(format!("the renderers got no more memory, and {target} a model that needs 256 MiB"));
    let limited = processes.map(Limited::to_what_it_has).collect::<io::Result<Vec<_>>>();
    let limited = limited.map_err(|error| match error.kind() {
        // A sandboxed process is not this user's to limit.
        io::ErrorKind::PermissionDenied => Refusal::Never(format!("its renderers cannot be limited: {error}")),
        _ => gone(error),
    })?;
    let lasting = async move {
        match tokio::time::timeout(SHORT, hungry).await {
            Ok(result) => tracing::debug!(answered = result.is_ok(), "the hungry model was ended"),
            Err(_) => tracing::debug!("the hungry model was given up"),
        }
        drop(limited);
        Lasted::Over
    };
    Ok(Done { lasting: Some(Box::pin(lasting)), ..done })
}
