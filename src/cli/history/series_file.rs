//! Change points of series that no tabfleet recorded.

use crate::{
    cli::{error::CliError, outcome::Outcome},
    stats::change_points::change_points as find,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// A line of input. What else it holds is not looked at.
#[derive(Deserialize)]
struct SeriesLine {
    id: String,
    /// A number that could not be measured may be null.
    values: Vec<Option<f64>>,
}

#[derive(Serialize)]
struct ChangesLine<'a> {
    id: &'a str,
    change_points: Vec<usize>,
}

/// Why a file of series cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum SeriesFileError {
    #[error("{file} cannot be read")]
    Read { file: String, source: std::io::Error },
    #[error("{file}, line {line}: {message}; a series is a line {{\"id\": \"name\", \"values\": [1.0, …]}}")]
    Json { file: String, line: usize, message: String },
    #[error("{file} has no column `value` in its first line ({header})")]
    NoValueColumn { file: String, header: String },
    #[error("{file}, line {line}: `{value}` is no number")]
    NotANumber { file: String, line: usize, value: String },
}

pub(super) fn change_points(input: &Path, output: &Path) -> Result<Outcome, CliError> {
    let file = input.display().to_string();
    let text = std::fs::read_to_string(input).map_err(|source| SeriesFileError::Read { file: file.clone(), source })?;
    let is_csv = input.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let all = if is_csv { vec![csv(&file, &text)?] } else { json_lines(&file, &text)? };
    let written = write(&all, output);
    written.map_err(|source| CliError::Write { path: output.to_owned(), source })?;
    Ok(Outcome::Good)
}

fn write(all: &[SeriesLine], output: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(output)?);
    for SeriesLine { id, values } in all {
        let values: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        let change_points = find(&values).iter().map(|change| change.index).collect();
        serde_json::to_writer(&mut out, &ChangesLine { id, change_points })?;
        writeln!(out)?;
    }
    out.flush()
}

fn json_lines(file: &str, text: &str) -> Result<Vec<SeriesLine>, SeriesFileError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| SeriesFileError::Json {
                file: file.to_owned(),
                line: index + 1,
                message: error.to_string(),
            })
        })
        .collect()
}

/// The column `value` of a table without quotes; an empty cell was not measured.
fn csv(file: &str, text: &str) -> Result<SeriesLine, SeriesFileError> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| line).unwrap_or_default();
    let column = header
        .split(',')
        .position(|name| name.trim() == "value")
        .ok_or_else(|| SeriesFileError::NoValueColumn { file: file.to_owned(), header: header.to_owned() })?;
    let cells = lines.filter(|(_, line)| !line.trim().is_empty());
    let values = cells.map(|(index, line)| match line.split(',').nth(column).map(str::trim) {
        None | Some("") => Ok(None),
        Some(cell) => cell.parse().map(Some).map_err(|_| SeriesFileError::NotANumber {
            file: file.to_owned(),
            line: index + 1,
            value: cell.to_owned(),
        }),
    });
    Ok(SeriesLine { id: file.to_owned(), values: values.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_from_json_lines_and_csv() {
        let [one, two] =
            &json_lines("f", "{\"id\":\"a\",\"values\":[1,null],\"more\":{}}\n\n{\"id\":\"b\",\"values\":[]}\n")
                .unwrap()[..]
        else {
            panic!("two series")
        };
        assert_eq!((one.id.as_str(), &one.values[..], two.values.len()), ("a", &[Some(1.0), None][..], 0));
        assert_eq!(csv("f", "day,value\n1, 2.5\n2,\n").unwrap().values, [Some(2.5), None]);
    }

    #[test]
    fn what_is_no_series_is_told_with_its_line() {
        let said = |error: SeriesFileError| error.to_string();
        assert!(said(json_lines("f", "{\"id\":\"a\",\"values\":[]}\n[1]").err().unwrap()).starts_with("f, line 2: "));
        assert_eq!(said(csv("f", "day,ms\n1,2").err().unwrap()), "f has no column `value` in its first line (day,ms)");
        assert_eq!(said(csv("f", "value\n1\nfast").err().unwrap()), "f, line 3: `fast` is no number");
    }
}
