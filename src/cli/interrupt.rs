//! Ctrl-C, and the polite request to end.

use std::{io, process, sync::OnceLock};
use tokio::{signal, sync::watch};

/// The exit code of a command that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// Returns when the user or the system has asked the command to end, which then ends what it has started. Whoever asks
/// again does not wait for that: the process ends at once, and what it had started by its guards.
pub(super) async fn interrupted() {
    static ASKED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    let mut asked = ASKED.get_or_init(hear).clone();
    if asked.wait_for(|asked| *asked).await.is_err() {
        // Nobody hears requests: the system ends the process by itself.
        std::future::pending::<()>().await;
    }
}

/// Hears every request from now on, to the end of the process.
fn hear() -> watch::Receiver<bool> {
    let (asked, heard) = watch::channel(false);
    tokio::spawn(async move {
        let Ok(mut requests) = Requests::new() else { return };
        requests.next().await;
        asked.send_replace(true);
        requests.next().await;
        eprintln!("interrupted again: what was started is ended by its guards");
        process::exit(INTERRUPTED.into());
    });
    heard
}

struct Requests {
    #[cfg(unix)]
    signals: [signal::unix::Signal; 2],
    #[cfg(windows)]
    signals: [signal::windows::CtrlC; 1],
}

impl Requests {
    fn new() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use signal::unix::{SignalKind, signal};
            Ok(Self { signals: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
        }
        #[cfg(windows)]
        Ok(Self { signals: [signal::windows::ctrl_c()?] })
    }

    async fn next(&mut self) {
        futures::future::select_all(self.signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}
