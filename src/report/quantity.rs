//! Numbers for people. What was not measured is a dash, never zero.

use super::TargetRow;
use crate::{host::Host, types::Adapter};
use time::{OffsetDateTime, UtcOffset};

/// What stands where nothing was measured.
pub(super) const NOT_MEASURED: &str = "–";

/// A text, or the dash.
pub(super) fn or_dash(text: Option<impl Into<String>>) -> String {
    text.map_or_else(|| NOT_MEASURED.to_owned(), Into::into)
}

/// To three digits, or whole from 100 on.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        _ if !value.is_finite() => NOT_MEASURED.to_owned(),
        _ if magnitude >= 99.95 || magnitude == 0.0 => format!("{value:.0}"),
        _ if magnitude >= 9.995 => format!("{value:.1}"),
        _ if magnitude >= 0.9995 => format!("{value:.2}"),
        _ if magnitude >= 0.0009995 => {
            let decimals = (2.0 - magnitude.log10().floor()).clamp(3.0, 6.0);
            format!("{value:.*}", decimals as usize)
        }
        _ => format!("{value:.2e}"),
    }
}

/// The same, or the dash.
pub(super) fn number_or_dash(value: Option<f64>) -> String {
    or_dash(value.map(number))
}

/// A p-value: below a thousandth only that it is.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// Where a report comes from, in a line.
pub(super) fn provenance(tabfleet: &str, started: OffsetDateTime, host: &Host) -> String {
    format!("tabfleet {tabfleet}, started {}, on {}", minute(started), machine(host))
}

/// The machine in a line.
pub(super) fn machine(host: &Host) -> String {
    let mut line = format!("{} {}", host.system(), host.arch);
    line.extend(host.cpu.as_ref().map(|cpu| format!(", {cpu}")));
    line.extend(host.cores.map(|cores| format!(", {cores} cores")));
    line.extend(host.memory_bytes.map(|bytes| format!(", {} GiB", number(bytes as f64 / (1_u64 << 30) as f64))));
    line
}

/// A time of day to the minute.
pub(super) fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// Product and version, as the browser says them.
pub(super) fn product(row: &TargetRow) -> Option<String> {
    let product = row.product.as_ref()?;
    Some(row.version.as_ref().map_or_else(|| product.clone(), |version| format!("{product} {version}")))
}

/// The adapter as the browser describes it, marked where it computes on the CPU.
pub(super) fn adapter(adapter: &Adapter) -> String {
    let words = [&adapter.vendor, &adapter.architecture, &adapter.device].map(|word| word.trim());
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let name = match adapter.description.trim() {
        "" if words.is_empty() => "unnamed adapter".to_owned(),
        "" => words.join(" "),
        description => description.to_owned(),
    };
    if adapter.software == Some(true) { format!("{name} (software)") } else { name }
}

/// A message's first line, without anything that a terminal would obey, cut after `most` characters.
pub(super) fn one_line(message: &str, most: usize) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut line: String = first.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if first.chars().count() > most || lines.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_what_is_missing_a_dash() {
        let shown = [0.0, 0.000_012_34, 0.0421, 0.4, 1.0, 9.999, 12.345, 99.99, 1234.5, -0.5, f64::NAN].map(number);
        assert_eq!(shown, ["0", "1.23e-5", "0.0421", "0.400", "1.00", "10.0", "12.3", "100", "1234", "-0.500", "–"]);
        assert_eq!(number_or_dash(None), "–");
        assert_eq!(p_value(1e-9), "< 0.001");
        assert_eq!(p_value(0.25), "0.250");
    }

    #[test]
    fn a_message_cannot_drive_the_terminal() {
        assert_eq!(one_line("\n a\u{1b}[31mred\nmore", 80), "a [31mred…");
        assert_eq!(one_line("four", 3), "fou…");
        assert_eq!(one_line("", 3), "");
    }
}
