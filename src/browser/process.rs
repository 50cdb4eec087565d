//! Starting a program under a guard, hearing its last words, and noticing its end.

use super::{BrowserError, guard};
use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
    process::{Child, Command},
    sync::{mpsc, oneshot, watch},
};

/// How many of a program's last lines are kept, and how much of each.
const LAST_LINES: usize = 40;
const LINE_BYTES: usize = 2048;

/// How often a program that does not say when it listens is tried while it starts.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// How long the end of a program's output is waited for after its end; its group is killed at that moment, so that
/// only what left the group can hold the pipe open.
const OUTPUT_END: Duration = Duration::from_millis(200);

/// How long a killed program's end is waited for: one that the system holds back may never come to it.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// What is to be started.
pub(super) struct Program {
    pub binary: PathBuf,
    pub args: Vec<OsString>,
    pub env: BTreeMap<String, String>,
    /// Variables that it does not inherit.
    pub without_env: Vec<String>,
}

/// A started program, alone in its process group. Its end is signalled; ending it is the guard's work.
pub(super) struct Process {
    name: String,
    pid: u32,
    reaped: Arc<AtomicBool>,
    ended: watch::Receiver<Option<End>>,
    last_words: LastWords,
    /// What it wrote and nobody has read. `None` once it is up: its output is then only drained.
    lines: Option<mpsc::UnboundedReceiver<String>>,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub status: String,
    pub last_words: String,
}

impl Process {
    /// Starts a program under `guard`. What it writes is kept in `last_words`.
    pub async fn start(
        program: Program,
        guard: &Arc<guard::Guard>,
        last_words: LastWords,
    ) -> Result<Self, BrowserError> {
        let name = program.binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let spawn_error = |source| BrowserError::Spawn { program: program.binary.clone(), source };
        let mut command = std::process::Command::new(&program.binary);
        for name in &program.without_env {
            command.env_remove(name);
        }
        command.args(&program.args).envs(&program.env).env(guard::MARK, guard.mark());
        // What Chromium and WebKit put there (sockets, shared files) goes with the launch's folder. Only on Linux:
        // elsewhere the folder's path can be so long that a socket's name no longer fits.
        if cfg!(target_os = "linux") {
            command.env("TMPDIR", guard.folder());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let mut child = spawn(command.into()).await.map_err(spawn_error)?;
        let Some(pid) = child.id() else {
            return Err(spawn_error(std::io::Error::other("it has no process id")));
        };
        if let Err(source) = guard.watch_group(pid) {
            let _ = child.start_kill();
            return Err(BrowserError::System { what: format!("{name} could not be put under its guard"), source });
        }
        let (line_sender, lines) = mpsc::unbounded_channel();
        let outputs = [
            child.stdout.take().map(|out| tokio::spawn(drain(out, last_words.clone(), line_sender.clone()))),
            child.stderr.take().map(|err| tokio::spawn(drain(err, last_words.clone(), line_sender))),
        ];
        let (ended_sender, ended) = watch::channel(None);
        let reaped = Arc::new(AtomicBool::new(false));
        let end = wait(child, pid, reaped.clone());
        tokio::spawn(tell_end(end, pid, Arc::downgrade(guard), outputs, last_words.clone(), ended_sender));
        Ok(Self { name, pid, reaped, ended, last_words, lines: Some(lines) })
    }

    /// Its process id, which is its group's, too.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The last lines it wrote.
    pub fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// Reads its output until `wanted` finds what it looks for in a line; from then on the output is only drained.
    ///
    /// # Errors
    /// [`BrowserError::EndedEarly`] when it ends first.
    pub async fn wait_for_line<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Result<T, BrowserError> {
        if let Some(mut lines) = self.lines.take() {
            while let Some(line) = lines.recv().await {
                if let Some(found) = wanted(&line) {
                    return Ok(found);
                }
            }
        }
        Err(self.ended_early(self.ended().await))
    }

    /// Waits until it listens there; its output is only drained.
    ///
    /// # Errors
    /// [`BrowserError::EndedEarly`] when it ends first.
    pub async fn wait_until_it_listens(&mut self, address: SocketAddr) -> Result<(), BrowserError> {
        self.lines = None;
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(TRY_AGAIN).await;
            }
        };
        tokio::select! {
            () = listens => Ok(()),
            end = self.ended() => Err(self.ended_early(end)),
        }
    }

    /// The error that an end is before the program could be used.
    fn ended_early(&self, end: End) -> BrowserError {
        BrowserError::EndedEarly { program: self.name.clone(), status: end.status, last_words: end.last_words }
    }

    /// Whether it has ended by now, told before anything that its end brings about.
    pub fn has_ended(&self) -> impl Fn() -> bool + Send + 'static {
        let reaped = self.reaped.clone();
        move || reaped.load(Ordering::Acquire)
    }

    /// Waits for its end.
    pub async fn ended(&self) -> End {
        ended(self.ended.clone()).await
    }

    /// Waits for its end, which its guard has seen to; one that lives on is killed.
    pub async fn ended_by_guard(&self) {
        if tokio::time::timeout(KILLED_WITHIN, self.ended()).await.is_ok() {
            return;
        }
        if !self.reaped.load(Ordering::Acquire) {
            kill_group(self.pid);
        }
        if tokio::time::timeout(KILLED_WITHIN, self.ended()).await.is_err() {
            tracing::warn!(program = self.name, pid = self.pid, "was killed, and does not end");
        }
    }

    /// A future that does not borrow, for tasks that watch.
    pub fn watch_end(&self) -> impl Future<Output = End> + Send + 'static {
        ended(self.ended.clone())
    }
}

async fn ended(mut receiver: watch::Receiver<Option<End>>) -> End {
    let end = receiver.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
    // The sender goes without a word only when the runtime shuts down.
    end.unwrap_or_else(|| End { status: "the fleet's runtime ended".into(), last_words: String::new() })
}

/// Waits for a child; then ends what is left of its group, at once, while the group's number cannot have been given to
/// others yet.
async fn wait(mut child: Child, pid: u32, reaped: Arc<AtomicBool>) -> String {
    let status = child.wait().await;
    reaped.store(true, Ordering::Release);
    kill_group(pid);
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

async fn tell_end(
    end: impl Future<Output = String>,
    pid: u32,
    guard: Weak<guard::Guard>,
    outputs: [Option<tokio::task::JoinHandle<()>>; 2],
    last_words: LastWords,
    ended: watch::Sender<Option<End>>,
) {
    let status = end.await;
    if let Some(guard) = guard.upgrade() {
        guard.forget_group(pid);
    }
    let all_read = futures::future::join_all(outputs.into_iter().flatten());
    let _ = tokio::time::timeout(OUTPUT_END, all_read).await;
    ended.send_replace(Some(End { status, last_words: last_words.text() }));
}

/// The last lines a program wrote.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// What there is so far.
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Reads an output to its end, whatever comes: a browser whose pipe is closed or full behaves differently (a Chromium
/// reports a crashed tab only after five seconds).
async fn drain(mut output: impl AsyncRead + Unpin, last_words: LastWords, lines: mpsc::UnboundedSender<String>) {
    let mut chunk = vec![0; 8192];
    let mut line = Vec::new();
    let finish = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if !text.is_empty() {
            last_words.push(text);
            // Nobody listens once the program is up.
            let _ = lines.send(text.to_owned());
        }
        line.clear();
    };
    while let Ok(read @ 1..) = output.read(&mut chunk).await {
        for byte in &chunk[..read] {
            match byte {
                b'\n' => finish(&mut line),
                byte if line.len() < LINE_BYTES => line.push(*byte),
                _ => {}
            }
        }
    }
    finish(&mut line);
}

struct SpawnOrder {
    command: Command,
    runtime: tokio::runtime::Handle,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

/// Spawns on the one thread that spawns everything and lives as long as this process: Linux sends the parent-death
/// signal when the *thread* that forked ends, and a runtime's worker threads come and go.
pub(super) async fn spawn(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<std::sync::mpsc::Sender<SpawnOrder>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = std::sync::mpsc::channel::<SpawnOrder>();
        let started = std::thread::Builder::new().name("tabfleet-spawn".into()).spawn(move || {
            for mut order in inbox {
                let _runtime = order.runtime.enter();
                let child = order.command.spawn();
                // Nobody waits any more: the launch was dropped, and what was started has no guard yet.
                if let Err(Ok(mut orphan)) = order.answer.send(child) {
                    let _ = orphan.start_kill();
                }
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "the thread that starts programs could not be started");
        }
        orders
    });
    let gone = || std::io::Error::other("the thread that starts programs is gone");
    let (answer, child) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    spawner.send(SpawnOrder { command, runtime, answer }).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}

/// The program starts in a session of its own, out of reach of the terminal's signals.
pub(super) fn in_own_session(command: &mut std::process::Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // SAFETY: between fork and exec only the one system call is made, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(Into::into));
        }
    }
    #[cfg(not(unix))]
    let _ = command;
}

/// The program starts in a process group of its own, and on Linux the kernel kills it when this process dies; what it
/// starts itself is the guard's.
fn end_with_parent(command: &mut std::process::Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        #[cfg(target_os = "linux")]
        // SAFETY: between fork and exec only the one system call is made, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                let signal = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(signal).map_err(Into::into)
            });
        }
    }
    #[cfg(not(unix))]
    let _ = command;
}

/// Resolves when a process that is not our child has ended. Elsewhere than on Linux, which tells of it, never.
pub(super) fn process_end(pid: u32) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(target_os = "linux")]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        // SAFETY: an `OwnedFd` keeps its descriptor open, and the same one, until it is dropped.
        let pidfd = unsafe { tokio::io::unix::AsyncFd::register_with_interest(pidfd, tokio::io::Interest::READABLE) }?;
        Ok(async move {
            // An error means that the runtime shuts down, and everybody who listens with it.
            let _ = pidfd.readable().await;
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        Ok(std::future::pending())
    }
}

fn kill_group(group: u32) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        // Most often the group is empty by now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = group;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[tokio::test]
    async fn what_a_program_writes_once_it_listens_is_not_kept_but_for_its_last_words() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let guard = Arc::new(guard::Guard::start(()).await.unwrap());
        let args = ["-c", "i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); echo $i; done; exec tail -f /dev/null"];
        let (args, env) = (args.into_iter().map(Into::into).collect(), BTreeMap::new());
        let program = Program { binary: "/bin/sh".into(), args, env, without_env: Vec::new() };
        let words = LastWords::default();
        let mut process = Process::start(program, &guard, words.clone()).await.unwrap();
        process.wait_until_it_listens(listener.local_addr().unwrap()).await.unwrap();
        let all_written = async {
            while !words.text().ends_with("\n5000") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), all_written).await.unwrap();
        assert!(process.lines.is_none(), "nobody reads them");
        assert_eq!(words.text().lines().count(), LAST_LINES);
        guard.close().await;
    }
}
