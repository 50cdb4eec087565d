//! Browsers that are not on this machine.

use tabfleet::{browser::BrowserError, types::Browser};

/// The browsers that have to be here, separated by commas: so that a run of all tests cannot pass without them.
const REQUIRED: &str = "TEST_BROWSERS";

/// Says loudly that nothing can be tested of a browser, and why. Fails where it has to be here.
pub fn skip(browser: Browser, error: &BrowserError) {
    let why = format!("{error}; {}", error.hint().unwrap_or_default());
    let required = std::env::var(REQUIRED).unwrap_or_default();
    assert!(required.split(',').all(|name| name.trim() != browser.to_string()), "{REQUIRED} has {browser}: {why}");
    println!("SKIPPED: {why}");
}
