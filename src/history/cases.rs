//! What runs of the matrix recorded of its cases.

use super::{History, HistoryError};

/// A case on a target, in the newest of some runs of the matrix that tried it there.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedCase {
    /// The case, as its model is called: `SUITE/CASE`; `CASE` in a file of before suites were recorded.
    pub model: String,
    /// Where: `chrome/wasm`, or `chrome@beta/wasm` of a further build of the browser.
    pub target: String,
    /// How long tabs were at it in that run, in milliseconds, what failed included; `None` where that was not measured.
    pub spent_ms: Option<f64>,
    /// Whether its last attempt there failed.
    pub failed: bool,
    /// In how many of the runs it failed and then succeeded.
    pub flaky_runs: u64,
    /// The browser's version then.
    pub version: Option<String>,
}

impl History {
    /// What the last so many runs of the matrix recorded of each case on each target. Whether outputs were right is not
    /// among it: that is the reports' to tell.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn matrix_cases(&self, last_runs: usize) -> Result<Vec<RecordedCase>, HistoryError> {
        let sql = "WITH recent AS ( \
                 SELECT run_id FROM runs WHERE command = 'matrix' ORDER BY started_at DESC, run_id DESC LIMIT ? \
             ), tried AS ( \
                 SELECT run_id, model, target, arg_max(success, job) AS ended_well, bool_or(NOT success) AS failed, \
                 sum(coalesce(total_ms - queue_ms, elapsed_ms, create_ms + run_ms, run_ms)) AS spent_ms, \
                 any_value(version) AS version \
                 FROM performance_results SEMI JOIN recent USING (run_id) \
                 LEFT JOIN (SELECT run_id, target_id, version FROM targets) USING (run_id, target_id) GROUP BY ALL \
             ) \
             SELECT model, target, arg_max(spent_ms, run_id), NOT arg_max(ended_well, run_id), \
             (count(*) FILTER (failed AND ended_well))::UBIGINT, arg_max(version, run_id) \
             FROM tried GROUP BY model, target ORDER BY ALL";
        self.database.rows(sql, [last_runs as u64], |row| {
            Ok(RecordedCase {
                model: row.get(0)?,
                target: row.get(1)?,
                spent_ms: row.get(2)?,
                failed: row.get(3)?,
                flaky_runs: row.get(4)?,
                version: row.get(5)?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::series_tests::file_with;

    #[test]
    fn the_newest_run_of_each_case_counts_and_how_often_it_was_flaky() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.duckdb");
        file_with(
            &path,
            "INSERT INTO runs (run_id, command, started_at) VALUES (1, 'matrix', '2026-01-01'), (2, 'matrix', '2026-01-02'), \
                 (3, 'matrix', '2026-01-03'), (4, 'bench', '2026-01-04'); \
             INSERT INTO targets (run_id, target_id, target, available, version) VALUES (2, 0, 'chrome/wasm', true, '156'); \
             INSERT INTO performance_results (run_id, happened_at, job, attempt, target_id, target, model, success, \
                 queue_ms, total_ms, run_ms, elapsed_ms) VALUES \
             (1, now(), 1, 1, 0, 'chrome/wasm', 'add', true, 1, 9, 5, NULL), \
             (2, now(), 1, 1, 0, 'chrome/wasm', 'add', false, NULL, NULL, NULL, 30), \
             (2, now(), 2, 1, 0, 'chrome/wasm', 'add', true, 5, 15, 8, NULL), \
             (3, now(), 1, 1, 0, 'chrome/wasm', 'mul', true, 1, 2, 1, NULL), \
             (3, now(), 2, 1, 0, 'chrome/wasm', 'mul', false, NULL, NULL, NULL, 4), \
             (4, now(), 1, 1, 0, 'chrome/wasm', 'add', true, 0, 1000, 1000, NULL)",
        );
        let case = |model: &str, spent_ms, failed, flaky_runs, version: Option<&str>| RecordedCase {
            model: model.to_owned(),
            target: "chrome/wasm".to_owned(),
            spent_ms: Some(spent_ms),
            failed,
            flaky_runs,
            version: version.map(str::to_owned),
        };
        let history = History::open(&path).unwrap();
        let cases = history.matrix_cases(5).unwrap();
        assert_eq!(cases, [case("add", 40.0, false, 1, Some("156")), case("mul", 5.0, true, 0, None)]);
        assert_eq!(history.matrix_cases(1).unwrap().len(), 1, "only the last run's");
    }
}
