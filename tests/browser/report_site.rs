//! The HTML report in a real browser, used as somebody would: looked at, searched, filtered, followed from link to link.

use crate::{
    devtools::Page,
    pages::{Started, start},
    sample,
};
use serde_json::json;
use tabfleet::{
    report::{ChangeKind, EarlierRuns, MatrixDiff, Side, write_html},
    types::{Browser, TabId},
};

/// A site of two runs of 60 cases, open in Chrome.
async fn open() -> Option<(Started, Page, MatrixDiff, tempfile::TempDir)> {
    let started = start(Browser::Chrome).await?;
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (sample::run(60, 3), sample::run(60, 14));
    let diff = MatrixDiff::of(&Side::run("before", &before), &Side::run("after", &after));
    let mut past = EarlierRuns::default();
    past.add("before".to_owned(), before);
    write_html(&after, &past, folder.path()).unwrap();
    let url = format!("file://{}/index.html", folder.path().display());
    started.browser.open_tab(TabId(1), &url).await.unwrap();
    let page = Page::of(started.browser.process_id().unwrap(), &url).await;
    Some((started, page, diff, folder))
}

/// Goes to another view and waits until it is drawn.
async fn go(page: &mut Page, address: &str, what: &str, shown: &'static str) {
    page.evaluate(&format!("location.hash = {}", json!(address))).await;
    page.shows(what, move |text| text.contains(shown)).await;
}

fn count(diff: &MatrixDiff, kind: ChangeKind) -> usize {
    diff.totals().get(&kind).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_read_as_somebody_would() {
    let Some((started, mut page, diff, _folder)) = open().await else { return };
    assert!(count(&diff, ChangeKind::Broke) > 0 && count(&diff, ChangeKind::Fixed) > 0, "{:?}", diff.totals());

    // The overview tells what changed since the run before, by the same rules as the library.
    let broke = format!("{} broke", count(&diff, ChangeKind::Broke));
    let fixed = format!("{} fixed", count(&diff, ChangeKind::Fixed));
    page.shows("what changed", move |text| text.contains(&broke) && text.contains(&fixed)).await;
    page.shows("newer versions", |text| text.contains("sample firefox 151.0.0 was 150.0.0")).await;

    // Operators: all of them, then those that partly run on the CPU, then a search.
    go(&mut page, "#/operators", "operators", "60 of 60 operators").await;
    let cell = r#"document.querySelector('#operator-grid [aria-label^="SampleOp023 on chrome/webgpu"]').ariaLabel"#;
    let label = page.evaluate(cell).await;
    assert!(label.as_str().unwrap().ends_with("1 partly on the CPU"), "{label}");
    page.evaluate("{ const show = document.getElementById('operator-show'); show.value = 'partly'; show.dispatchEvent(new Event('change')) }").await;
    let rows = page.evaluate("document.querySelectorAll('#operator-grid tbody tr').length").await;
    assert!(rows.as_u64().is_some_and(|rows| rows > 0 && rows < 10), "{rows}");

    // From an operator to its cases, and from a case to its page and back, with the keyboard alone.
    page.evaluate("document.querySelector('#operator-grid tbody a').focus()").await;
    press(&mut page, "Enter").await;
    page.shows("cases of one operator", |text| text.contains(" of 60 cases")).await;
    let chosen = page.evaluate("document.getElementById('operator').value").await;
    assert!(chosen.as_str().unwrap().starts_with("SampleOp"), "{chosen}");
    page.evaluate("document.querySelector('#grid tbody a').focus()").await;
    press(&mut page, "Enter").await;
    page.shows("a case's page", |text| text.contains("What ran it") && text.contains("2 runs, by browser version"))
        .await;
    page.evaluate("history.back()").await;
    page.shows("the cases again", |text| text.contains("Every case on every target")).await;

    // A search looks through names and errors, and is in the address.
    go(&mut page, "#/cases", "all cases", "60 of 60 cases").await;
    press(&mut page, "/").await;
    let focused = page.evaluate("document.activeElement.id").await;
    assert_eq!(focused, "search");
    page.command("Input.insertText", json!({ "text": "timeout of test_sampleop00" })).await;
    page.shows("what was searched for", |text| text.contains(" of 60 cases") && !text.contains("60 of 60")).await;
    let address = page.evaluate("location.hash").await;
    assert_eq!(address, "#/cases?q=timeout+of+test_sampleop00");

    // A case that broke: what it was in each version, and how far it is off.
    let change = diff.changes.iter().find(|change| change.kind == ChangeKind::Broke).unwrap();
    let id = format!("#/case/{}%2F{}", change.suite, change.case);
    go(&mut page, &id, "the case", "What ran it").await;
    let eras = r#"[...document.querySelectorAll('.era')].map((era) => era.ariaLabel)"#;
    let eras = page.evaluate(eras).await;
    assert!(eras.as_array().unwrap().contains(&json!("150.0.0: pass")), "{eras}");
    assert!(eras.as_array().unwrap().contains(&json!("151.0.0: crash")), "{eras}");

    // The differences are those that `matrix diff` tells; and the other way round what broke is fixed.
    go(&mut page, "#/changes", "changes", "before → after").await;
    let kinds = r#"Object.fromEntries([...document.querySelectorAll('#difference [data-kind]')].map((chip) => [chip.dataset.kind, Number(chip.querySelector('b').textContent)]))"#;
    let told = page.evaluate(kinds).await;
    let expected = diff.totals().into_iter().map(|(kind, n)| (kind.to_string(), json!(n))).collect();
    assert_eq!(told, serde_json::Value::Object(expected));
    page.evaluate("document.getElementById('swap').click()").await;
    let told = page.evaluate(kinds).await;
    assert_eq!(told["fixed"], json!(count(&diff, ChangeKind::Broke)), "{told}");
    page.evaluate("document.querySelector('[name=compare][value=browsers]').click()").await;
    page.shows("two versions of one browser", |text| text.contains("chrome/webgpu: 150.0.0 → 151.0.0")).await;

    go(&mut page, "#/speed", "run times", "on a logarithmic axis").await;
    started.browser.close().await;
}

async fn press(page: &mut Page, key: &str) {
    let text = if key == "Enter" { "\r" } else { key };
    page.command("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": key, "text": text })).await;
    page.command("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key })).await;
}

/// The address of every view, and what shows that it is there.
fn views(diff: &MatrixDiff) -> [(String, &'static str); 6] {
    let case = format!("#/case/{}%2F{}", diff.changes[0].suite, diff.changes[0].case);
    [
        ("#/".to_owned(), "What wants attention"),
        ("#/operators".to_owned(), "of 60 operators"),
        ("#/cases".to_owned(), "of 60 cases"),
        (case, "What ran it"),
        ("#/changes".to_owned(), "What changed"),
        ("#/speed".to_owned(), "Run times"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_nothing_but_grids_and_cards_scrolls_sideways() {
    let Some((started, mut page, diff, _folder)) = open().await else { return };
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    page.command("Emulation.setDeviceMetricsOverride", phone).await;
    for (address, shown) in views(&diff) {
        go(&mut page, &address, &address, shown).await;
        let width = page.evaluate("document.documentElement.scrollWidth").await;
        assert!(width.as_u64().is_some_and(|width| width <= 360), "{address} is {width} px wide");
    }
    started.browser.close().await;
}

/// What axe-core finds wrong, by WCAG 2.1 AA: which rule, how often, and where first.
const AXE: &str = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }).then(({ violations }) => \
                   violations.map(({ id, nodes }) => `${id} ×${nodes.length}: ${nodes[0].html} ${nodes[0].failureSummary}`))";

#[tokio::test(flavor = "multi_thread")]
async fn every_view_can_be_read_and_used_by_everybody() {
    let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/harness-pages/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("axe-core, which drivers/install.sh brings");
    let Some((started, mut page, diff, _folder)) = open().await else { return };
    page.evaluate(&format!("{axe};0")).await;
    for (scheme, width) in [("light", 1280), ("dark", 390)] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        page.command("Emulation.setEmulatedMedia", media).await;
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        page.command("Emulation.setDeviceMetricsOverride", size).await;
        for (address, shown) in views(&diff) {
            go(&mut page, &address, &address, shown).await;
            let found = page.evaluate(AXE).await;
            assert_eq!(found, json!([]), "{address}, {scheme}, {width} px wide");
        }
    }
    started.browser.close().await;
}
