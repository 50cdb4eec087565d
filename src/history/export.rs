//! The tables as files for other tools.

use super::{
    History, HistoryError, SeriesFilter,
    database::Database,
    places::{Names, Runs},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A format that tables are exported in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a line of names.
    Csv,
    /// A JSON list of objects.
    Json,
}

impl ExportFormat {
    /// Its name, which its files end in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Csv, Self::Json].into_iter().find(|format| format.name() == name)
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Parquet => "FORMAT parquet, COMPRESSION zstd",
            Self::Csv => "FORMAT csv, HEADER",
            Self::Json => "FORMAT json, ARRAY",
        }
    }
}

impl History {
    /// Writes each table as a file of its name into the folder, which is made where needed; files of an earlier export
    /// are replaced. Returns the files. Of tables of runs only the rows of those that the filter lets through are in them;
    /// what else it says does not matter.
    ///
    /// # Errors
    /// [`HistoryError::File`] when the folder cannot be made or written, [`HistoryError::Statement`] else.
    pub fn export(
        &self,
        folder: &Path,
        format: ExportFormat,
        filter: &SeriesFilter,
    ) -> Result<Vec<PathBuf>, HistoryError> {
        export(&self.database, folder, format, filter)
    }
}

pub(super) fn export(
    database: &Database,
    folder: &Path,
    format: ExportFormat,
    filter: &SeriesFilter,
) -> Result<Vec<PathBuf>, HistoryError> {
    let file = |source| HistoryError::File { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(file)?;
    let runs = Runs::read(database.connection(), filter, &mut Names::default()).map_err(database.failed("read"))?;
    let left_out: Vec<String> = runs.runs.iter().filter(|run| !run.wanted).map(|run| run.run_id.to_string()).collect();
    let mut files = Vec::new();
    for (table, of_runs) in tables(database)? {
        let path = folder.join(format!("{table}.{}", format.name()));
        // A killed export leaves no half a table under its name.
        let unfinished = folder.join(format!("{table}.{}.tmp", format.name()));
        let rows = match of_runs && !left_out.is_empty() {
            true => format!("(SELECT * FROM {table} WHERE run_id NOT IN ({}))", left_out.join(", ")),
            false => table.clone(),
        };
        let copy = format!("COPY {rows} TO {} ({})", quoted(&unfinished)?, format.options());
        let copied = database.connection().execute_batch(&copy);
        copied.map_err(database.failed(format!("exported to {}", folder.display())))?;
        fs::rename(&unfinished, &path).map_err(file)?;
        files.push(path);
    }
    Ok(files)
}

/// The tables, and whether each of their rows is of a run.
fn tables(database: &Database) -> Result<Vec<(String, bool)>, HistoryError> {
    let sql = "SELECT table_name, bool_or(column_name = 'run_id') FROM duckdb_tables() JOIN duckdb_columns() \
             USING (database_name, schema_name, table_name) \
             WHERE NOT duckdb_tables.internal AND NOT temporary GROUP BY table_name ORDER BY table_name";
    database.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A path as SQL text.
pub(super) fn quoted(path: &Path) -> Result<String, HistoryError> {
    let unfit = || io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8, which DuckDB needs");
    let text = path.to_str().ok_or_else(|| HistoryError::File { path: path.to_owned(), source: unfit() })?;
    Ok(format!("'{}'", text.replace('\'', "''")))
}
