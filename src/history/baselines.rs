//! Named runs that later ones are compared with, and which family models are of.

use super::{
    History, HistoryError,
    database::{Access, Database},
    schema,
    tables::Utc,
};
use duckdb::params;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, time::SystemTime};

/// Runs under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The name.
    pub name: String,
    /// When it was set.
    pub set_at: SystemTime,
    /// The runs, by number.
    pub runs: Vec<i64>,
}

impl Baseline {
    /// Gives the last `runs` runs that measured anything a name; one that has it already loses it.
    ///
    /// # Errors
    /// [`HistoryError::NothingMeasured`] where there are none, and what keeps the file from being written.
    pub fn set(path: &Path, name: &str, runs: usize) -> Result<Self, HistoryError> {
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        let connection = database.connection();
        let newest = "SELECT run_id FROM runs JOIN (SELECT DISTINCT run_id FROM performance_results WHERE success) \
                      USING (run_id) ORDER BY started_at DESC, run_id DESC LIMIT ?";
        let mut runs: Vec<i64> = database.rows(newest, [runs as u64], |row| row.get(0))?;
        runs.sort_unstable();
        if runs.is_empty() {
            return Err(HistoryError::NothingMeasured { path: path.to_owned() });
        }
        let set_at = SystemTime::now();
        let list: Vec<String> = runs.iter().map(i64::to_string).collect();
        let write = || {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM baselines WHERE name = ?", [name])?;
            // Numbers only: nothing in the list can be taken for SQL.
            let insert = format!("INSERT INTO baselines VALUES (?, ?, [{}])", list.join(", "));
            transaction.execute(&insert, params![name, Utc::from(set_at)])?;
            transaction.commit()
        };
        write().map_err(database.failed("written"))?;
        Ok(Self { name: name.to_owned(), set_at, runs })
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// [`HistoryError::NoBaseline`] where nothing has it, and what keeps the file from being written.
    pub fn remove(path: &Path, name: &str) -> Result<(), HistoryError> {
        let known = History::open(path)?.baseline(name).map(drop);
        known?;
        let database = Database::open(path, Access::Write)?;
        let removed = database.connection().execute("DELETE FROM baselines WHERE name = ?", [name]);
        removed.map(drop).map_err(database.failed("written"))
    }
}

impl History {
    /// Every baseline, by name.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn baselines(&self) -> Result<Vec<Baseline>, HistoryError> {
        let sql = "SELECT name, epoch_us(set_at) AS set_at, array_to_string(run_ids, ' ') AS runs FROM baselines ORDER BY name";
        self.database.rows(sql, [], |row| {
            let runs: String = row.get("runs")?;
            Ok(Baseline {
                name: row.get("name")?,
                set_at: Utc(row.get("set_at")?).into(),
                runs: runs.split_whitespace().filter_map(|run| run.parse().ok()).collect(),
            })
        })
    }

    /// The runs of a baseline.
    ///
    /// # Errors
    /// [`HistoryError::NoBaseline`] names those that there are.
    pub fn baseline(&self, name: &str) -> Result<Vec<i64>, HistoryError> {
        let mut known = self.baselines()?;
        match known.iter().position(|baseline| baseline.name == name) {
            Some(index) => Ok(known.swap_remove(index).runs),
            None => Err(HistoryError::NoBaseline {
                name: name.to_owned(),
                known: known.into_iter().map(|baseline| baseline.name).collect(),
            }),
        }
    }

    /// The family of each model that has one.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn families(&self) -> Result<BTreeMap<String, String>, HistoryError> {
        let sql = "SELECT model, max(family) FROM performance_results WHERE family IS NOT NULL AND family <> 'other' \
                   GROUP BY model";
        Ok(self.database.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
    }
}
