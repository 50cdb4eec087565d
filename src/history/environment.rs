//! What a number's meaning hangs on besides its series: the model's file, browser, adapter driver, runtime.

use serde::{Deserialize, Serialize};

/// What changes what a series' numbers mean. `None` is what nobody told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Environment {
    /// The model's file, by the beginning of its SHA-256.
    pub model: Option<String>,
    /// The browser's product: `Chrome`.
    pub product: Option<String>,
    /// Its full version.
    pub version: Option<String>,
    /// Whether it ran without a window.
    pub headless: Option<bool>,
    /// The adapter in all its words, often with its driver's version.
    pub adapter: Option<String>,
    /// What loads the models: `onnxruntime-web`.
    pub runtime: Option<String>,
    /// Its version.
    pub runtime_version: Option<String>,
    /// WASM threads.
    pub threads: Option<u32>,
    /// The version of tabfleet.
    pub tabfleet: Option<String>,
}

impl Environment {
    /// What is different in `later`, each as a person reads it: `Chrome 156.0.1 -> 157.0.2`.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let names = [
            ("model", self.model.clone(), later.model.clone()),
            ("browser", named(&self.product, &self.version), named(&later.product, &later.version)),
            ("adapter", self.adapter.clone(), later.adapter.clone()),
            ("runtime", named(&self.runtime, &self.runtime_version), named(&later.runtime, &later.runtime_version)),
            ("threads", shown(self.threads), shown(later.threads)),
            ("window", self.headless.map(window), later.headless.map(window)),
            ("tabfleet", self.tabfleet.clone(), later.tabfleet.clone()),
        ];
        names.into_iter().filter_map(|(what, from, to)| change(what, from, to)).collect()
    }
}

/// A name and its version as one text.
fn named(name: &Option<String>, version: &Option<String>) -> Option<String> {
    match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (known, None) | (None, known) => known.clone(),
    }
}

fn shown(number: Option<u32>) -> Option<String> {
    number.map(|number| number.to_string())
}

fn window(headless: bool) -> String {
    if headless { "none" } else { "shown" }.to_owned()
}

fn change(what: &str, from: Option<String>, to: Option<String>) -> Option<String> {
    match (from, to) {
        (Some(from), Some(to)) if from != to => Some(both(what, &from, &to)),
        (Some(from), None) => Some(both(what, &from, "unknown")),
        (None, Some(to)) => Some(both(what, "unknown", &to)),
        _ => None,
    }
}

/// A name that both begin with is said once, and stands for the word that says what it is.
fn both(what: &str, from: &str, to: &str) -> String {
    match (from.rsplit_once(' '), to.rsplit_once(' ')) {
        (Some((name, _)), Some((same, version))) if name == same && what != "adapter" => format!("{from} -> {version}"),
        _ => format!("{what} {from} -> {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_as_a_person_reads_them() {
        let text = |text: &str| Some(text.to_owned());
        let old = Environment {
            product: text("Chrome"),
            version: text("156.0.1"),
            runtime: text("onnxruntime-web"),
            runtime_version: text("1.30.0"),
            headless: Some(true),
            ..Environment::default()
        };
        assert_eq!(old.changes(&old), Vec::<String>::new());
        let updated = Environment { version: text("157.0.2"), threads: Some(4), ..old.clone() };
        assert_eq!(old.changes(&updated), ["Chrome 156.0.1 -> 157.0.2", "threads unknown -> 4"]);
        let other = Environment { product: text("Chromium"), headless: Some(false), ..old.clone() };
        assert_eq!(old.changes(&other), ["browser Chrome 156.0.1 -> Chromium 156.0.1", "window none -> shown"]);
        let exported_again = Environment { model: text("0a1b2c3d4"), ..old.clone() };
        let before = Environment { model: text("ffeeddccb"), ..old.clone() };
        assert_eq!(before.changes(&exported_again), ["model ffeeddccb -> 0a1b2c3d4"]);
        let lost = Environment { runtime: None, runtime_version: None, tabfleet: text("0.2.0"), ..old.clone() };
        assert_eq!(old.changes(&lost), ["runtime onnxruntime-web 1.30.0 -> unknown", "tabfleet unknown -> 0.2.0"]);
    }
}
