//! Numbers of bytes for people.

use std::fmt;

/// A number of bytes, written to three digits with its binary unit: `1.50 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let Some((unit, bytes)) = units.into_iter().find(|(_, bytes)| self.0 >= *bytes) else {
            return f.pad(&format!("{} B", self.0));
        };
        let number = self.0 as f64 / bytes as f64;
        let decimals = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
        f.pad(&format!("{number:.decimals$} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn three_digits_and_a_unit() {
        let shown = [0, 1023, 1024, 1536, 10_240, 102_400, 3 << 20, 5 << 30].map(|bytes| ByteSize(bytes).to_string());
        assert_eq!(shown, ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "10.0 KiB", "100 KiB", "3.00 MiB", "5.00 GiB"]);
    }
}
