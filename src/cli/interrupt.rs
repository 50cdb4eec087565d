//! Ctrl-C, and the polite request to end.

use tokio::signal;

/// Returns when the user or the system wants the command to end.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                Ok(()) = signal::ctrl_c() => return,
            }
        }
    }
    if signal::ctrl_c().await.is_err() {
        // Without the handler the system ends the process by itself.
        std::future::pending::<()>().await;
    }
}
