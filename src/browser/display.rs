//! A private X display for a browser that cannot do without one.

use super::{
    BrowserError, find,
    guard::Guard,
    process::{LastWords, Process, Program},
};
use crate::types::Browser;
use std::{collections::BTreeMap, env, sync::Arc};

/// What the browser is shown on.
pub(super) enum Display {
    /// An Xvfb of its own, and its name.
    Private { _server: Process, name: String },
    /// The user's.
    Users,
}

impl Display {
    /// A display nobody sees for a browser without a window; the user's own for one with a window, or where there is
    /// no Xvfb.
    pub async fn open(browser: Browser, headless: bool, guard: &Arc<Guard>) -> Result<Self, BrowserError> {
        let has_users = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| env::var_os(name).is_some());
        if cfg!(not(target_os = "linux")) || (has_users && !headless) {
            return Ok(Display::Users);
        }
        let Some(binary) = find::on_path("Xvfb") else {
            return if has_users { Ok(Display::Users) } else { Err(no_display(browser)) };
        };
        // The server chooses a free number itself and writes it to stdout once it listens.
        let args = ["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "1280x800x24"];
        let args = args.into_iter().map(Into::into).collect();
        let program = Program { binary, args, env: BTreeMap::new(), without_env: Vec::new() };
        let mut server = Process::start(program, guard, LastWords::default()).await?;
        let number: u32 = server.wait_for_line(|line| line.parse().ok()).await?;
        Ok(Display::Private { _server: server, name: format!(":{number}") })
    }

    /// Adds what a browser needs to be shown on it.
    pub fn describe(&self, env: &mut BTreeMap<String, String>) {
        if let Display::Private { name, .. } = self {
            env.insert("DISPLAY".into(), name.clone());
            // GTK prefers Wayland where both are there.
            env.insert("WAYLAND_DISPLAY".into(), String::new());
        }
    }

    /// Whether nobody sees it.
    pub fn is_private(&self) -> bool {
        matches!(self, Display::Private { .. })
    }
}

fn no_display(browser: Browser) -> BrowserError {
    BrowserError::DriverNotFound {
        browser,
        driver: "an X display".into(),
        looked_for: vec!["DISPLAY".into(), "WAYLAND_DISPLAY".into(), "Xvfb on PATH".into()],
        bring: "`apt-get install xvfb` brings one".into(),
    }
}
