//! What a query answered.

use super::{TableStyle, align_right};
use crate::report::quantity;
use serde_json::Value;

/// The rows of an answer, each with a value for every column. NULL is a dash; numbers are given in full.
pub fn answer_table(columns: &[String], rows: &[Vec<Value>], style: TableStyle) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let headers: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = style.table(&headers);
    for row in rows {
        table.add_row(row.iter().map(text));
    }
    let is_number = |column: &usize| rows.iter().all(|row| row[*column].is_number() || row[*column].is_null());
    align_right(&mut table, (0..columns.len()).filter(is_number).collect::<Vec<_>>());
    table.trim_fmt() + "\n"
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => quantity::NOT_MEASURED.to_owned(),
        Value::String(text) => quantity::one_line(text, 200),
        other => other.to_string(),
    }
}
