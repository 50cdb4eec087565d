//! Runs that were given a name, to compare later ones with.

use super::{
    History, HistoryError,
    database::{Access, Database},
    schema,
};
use duckdb::{params, types::Value};
use std::path::Path;

impl History {
    /// Gives the runs a name. A baseline of that name is replaced.
    ///
    /// # Errors
    /// [`HistoryError::NoSuchRun`] for a run that is not in the file, and every other [`HistoryError`] but those of the
    /// writer thread.
    pub fn set_baseline(path: &Path, name: &str, run_ids: &[i64]) -> Result<(), HistoryError> {
        drop(Self::open(path)?);
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        let known = "SELECT count(*) > 0 FROM runs WHERE run_id = ?";
        for run_id in run_ids {
            let known = database.connection().query_row(known, [run_id], |row| row.get::<_, bool>(0));
            if !known.map_err(database.failed("read"))? {
                return Err(HistoryError::NoSuchRun { path: path.to_owned(), run_id: *run_id });
            }
        }
        let list: Vec<_> = run_ids.iter().map(ToString::to_string).collect();
        let insert = format!(
            "INSERT INTO baselines VALUES (?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), [{}]::BIGINT[])",
            list.join(", ")
        );
        let replace = || {
            let transaction = database.connection().unchecked_transaction()?;
            transaction.execute("DELETE FROM baselines WHERE name = ?", [name])?;
            transaction.execute(&insert, params![name])?;
            transaction.commit()
        };
        replace().map_err(database.failed("written"))
    }

    /// The runs of that name; `None` where there is no such baseline.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn baseline(&self, name: &str) -> Result<Option<Vec<i64>>, HistoryError> {
        let read = || {
            let mut statement = self.connection().prepare("SELECT run_ids FROM baselines WHERE name = ?")?;
            let mut rows = statement.query([name])?;
            rows.next()?.map(|row| row.get::<_, Value>(0)).transpose()
        };
        let run_ids = read().map_err(self.database.failed("read"))?;
        Ok(run_ids.map(|value| match value {
            Value::List(values) => values.into_iter().filter_map(run_id).collect(),
            _ => Vec::new(),
        }))
    }
}

fn run_id(value: Value) -> Option<i64> {
    if let Value::BigInt(run_id) = value { Some(run_id) } else { None }
}
