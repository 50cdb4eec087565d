//! The settings as a table, for `tabfleet config`.

use super::Settings;
use comfy_table::{ContentArrangement, Table, presets};

/// Every setting with its value, where that came from, and what it takes.
pub fn print(settings: &Settings) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["setting", "value", "from", "takes"]);
    for (entry, (value, source)) in Settings::entries().into_iter().zip(settings.shown()) {
        // Each browser's value has a line, so that those of all do not make the table too wide.
        table.add_row([entry.name, value.replace("; ", "\n"), source.to_string(), entry.expected]);
    }
    let unpadded = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n";
    table.lines().map(unpadded).collect()
}
