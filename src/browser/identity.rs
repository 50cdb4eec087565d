//! Who really fills a slot.

use crate::types::Browser;

/// Whether `product` is another product than the slot is named for. Every Chromium truly fills the chrome slot, but
/// only an Edge the edge slot; WebKitGTK's MiniBrowser and Safari are both true WebKits.
pub(super) fn is_stand_in(browser: Browser, product: &str) -> bool {
    let true_products: &[&str] = match browser {
        Browser::Chrome => &["Chrome", "Chromium", "HeadlessChrome", "chrome", "chrome-headless-shell"],
        Browser::Edge => &["Edg", "HeadlessEdg", "Microsoft Edge", "MicrosoftEdge", "msedge"],
        Browser::Firefox => &["firefox", "Firefox"],
        Browser::Webkit => &["Safari", "WebKitGTK MiniBrowser"],
    };
    !true_products.contains(&product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chromium_is_a_chrome_but_not_an_edge() {
        assert!(!is_stand_in(Browser::Chrome, "HeadlessChrome"));
        assert!(is_stand_in(Browser::Edge, "HeadlessChrome"));
        assert!(!is_stand_in(Browser::Edge, "HeadlessEdg"));
        assert!(is_stand_in(Browser::Chrome, "Edg"));
    }

    #[test]
    fn both_webkits_are_true_ones() {
        assert!(!is_stand_in(Browser::Webkit, "WebKitGTK MiniBrowser"));
        assert!(!is_stand_in(Browser::Webkit, "Safari"));
        assert!(is_stand_in(Browser::Webkit, "firefox"));
    }
}
