//! Runs and descriptions of targets, as far as series need them: they are few, and read before the rows that name them.

use super::{Environment, SeriesFilter, rows::WARM_UP, tables::Utc};
use duckdb::{Connection, Row};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

/// Texts by number, so that a key is a few numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Names {
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }
}

/// Where a target's numbers come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub adapter: Option<u32>,
    pub environment: u32,
}

/// A run, and the places of its targets.
#[derive(Debug)]
pub(super) struct Run {
    pub run_id: i64,
    pub started: Utc,
    /// Its place among all runs, see [`Series`](super::Series).
    pub rank: u32,
    /// Whether the filter lets it through.
    pub wanted: bool,
    pub host: u32,
    pub git_commit: Option<Arc<str>>,
    pub git_branch: Option<Arc<str>>,
    /// By `target_id`, which counts from 0.
    places: Vec<Option<Place>>,
    /// For a result without one: a target's only place in the run.
    by_target: HashMap<String, Option<Place>>,
    unknown: Place,
}

impl Run {
    pub fn place(&self, target_id: Option<u32>, target: &str) -> Place {
        let known = match target_id {
            Some(id) => self.places.get(id as usize).copied().flatten(),
            None => self.by_target.get(target).copied().flatten(),
        };
        known.unwrap_or(self.unknown)
    }
}

/// Every run of the file.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub runs: Vec<Run>,
    pub environments: Vec<Arc<Environment>>,
    environment_numbers: HashMap<Arc<Environment>, u32>,
    /// Of an environment and a model's file together.
    with_models: HashMap<(u32, u32), u32>,
    by_id: HashMap<i64, u32>,
    tabfleets: Vec<Option<String>>,
}

impl Runs {
    pub fn read(connection: &Connection, filter: &SeriesFilter, names: &mut Names) -> duckdb::Result<Self> {
        let mut all = Self::default();
        let mut recorded = Vec::new();
        let mut statement = connection.prepare(
            "SELECT run_id, origin = 'recorded', epoch_us(started_at), git_commit, git_branch, tabfleet, os, arch, \
             cpu, cores, host_name FROM runs ORDER BY run_id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            recorded.push(row.get::<_, bool>(1)?);
            all.add_run(row, names)?;
        }
        all.rank(&recorded);
        all.read_places(connection, names)?;
        all.choose(connection, filter)?;
        Ok(all)
    }

    /// The number of a run here.
    pub fn number(&self, run_id: i64) -> Option<u32> {
        self.by_id.get(&run_id).copied()
    }

    /// The first and the last `run_id` that the filter lets through.
    pub fn span(&self) -> Option<(i64, i64)> {
        let wanted = || self.runs.iter().filter(|run| run.wanted).map(|run| run.run_id);
        Some((wanted().min()?, wanted().max()?))
    }

    fn add_run(&mut self, row: &Row<'_>, names: &mut Names) -> duckdb::Result<()> {
        let text = |column: usize| row.get::<_, Option<String>>(column);
        let cores = row.get::<_, Option<u32>>(9)?.map(|cores| format!("{cores} cores"));
        let host: Vec<String> = [text(10)?, text(8)?, cores, text(6)?, text(7)?].into_iter().flatten().collect();
        let tabfleet = text(5)?;
        let unknown = Environment { tabfleet: tabfleet.clone(), ..Environment::default() };
        let run = Run {
            run_id: row.get(0)?,
            started: Utc(row.get(2)?),
            rank: 0,
            wanted: true,
            host: names.number(&host.join(", ")),
            git_commit: text(3)?.map(Arc::from),
            git_branch: text(4)?.map(Arc::from),
            places: Vec::new(),
            by_target: HashMap::new(),
            unknown: Place { adapter: None, environment: self.environment(unknown) },
        };
        self.by_id.insert(run.run_id, self.runs.len() as u32);
        self.runs.push(run);
        self.tabfleets.push(tabfleet);
        Ok(())
    }

    fn environment(&mut self, environment: Environment) -> u32 {
        if let Some(number) = self.environment_numbers.get(&environment) {
            return *number;
        }
        let (number, environment) = (self.environments.len() as u32, Arc::new(environment));
        self.environments.push(Arc::clone(&environment));
        self.environment_numbers.insert(environment, number);
        number
    }

    /// The environment with the model's file, which is the text of that number.
    pub fn with_model(&mut self, environment: u32, model: Option<u32>, names: &Names) -> u32 {
        let Some(model) = model else { return environment };
        if let Some(number) = self.with_models.get(&(environment, model)) {
            return *number;
        }
        let mut whole = Environment::clone(&self.environments[environment as usize]);
        whole.model = Some(names.text(model).to_owned());
        let number = self.environment(whole);
        self.with_models.insert((environment, model), number);
        number
    }

    /// Recorded runs are in the order of their numbers: a clock that went backwards is taken for standing still.
    fn rank(&mut self, recorded: &[bool]) {
        let mut clock = Utc(i64::MIN);
        let mut order: Vec<(Utc, usize)> = Vec::with_capacity(self.runs.len());
        for (number, (run, recorded)) in self.runs.iter().zip(recorded).enumerate() {
            if *recorded {
                clock = clock.max(run.started);
            }
            order.push((if *recorded { clock } else { run.started }, number));
        }
        order.sort_unstable();
        for (rank, (_, number)) in order.into_iter().enumerate() {
            self.runs[number].rank = rank as u32;
        }
    }

    fn read_places(&mut self, connection: &Connection, names: &mut Names) -> duckdb::Result<()> {
        let mut statement = connection.prepare(
            "SELECT run_id, target_id, target, product, version, headless, adapter_vendor, adapter_architecture, \
             adapter_device, adapter_description, webnn_device, runtime, runtime_version, threads \
             FROM targets ORDER BY run_id, target_id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Some(number) = self.number(row.get(0)?) else { continue };
            let tabfleet = self.tabfleets[number as usize].clone();
            let (adapter, environment) = described(row, tabfleet)?;
            let place = Place {
                adapter: adapter.map(|adapter| names.number(&adapter)),
                environment: self.environment(environment),
            };
            let run = &mut self.runs[number as usize];
            let target_id = row.get::<_, u32>(1)? as usize;
            run.places.resize(run.places.len().max(target_id + 1), None);
            run.places[target_id] = Some(place);
            let only = !run.by_target.contains_key(&row.get::<_, String>(2)?);
            run.by_target.insert(row.get(2)?, only.then_some(place));
        }
        Ok(())
    }

    fn choose(&mut self, connection: &Connection, filter: &SeriesFilter) -> duckdb::Result<()> {
        for run in &mut self.runs {
            let at = SystemTime::from(run.started);
            run.wanted = filter.since.is_none_or(|since| at >= since)
                && filter.until.is_none_or(|until| at < until)
                && filter.branch.as_deref().is_none_or(|branch| run.git_branch.as_deref() == Some(branch));
        }
        let Some(last) = filter.last else { return Ok(()) };
        let measured = measured(connection, filter)?;
        let measured = |run: &Run| run.wanted && measured.contains(&run.run_id);
        let mut ranks: Vec<u32> = self.runs.iter().filter(|run| measured(run)).map(|run| run.rank).collect();
        ranks.sort_unstable();
        let first =
            ranks.len().checked_sub(last).map_or(0, |left_out| ranks.get(left_out).copied().unwrap_or(u32::MAX));
        self.runs.iter_mut().for_each(|run| run.wanted &= run.rank >= first);
        Ok(())
    }
}

/// The runs that measured anything that the filter lets through.
fn measured(connection: &Connection, filter: &SeriesFilter) -> duckdb::Result<HashSet<i64>> {
    let (condition, values) = filter.series_condition();
    let sql = format!(
        "SELECT run_id FROM performance_results WHERE {condition} \
         UNION SELECT run_id FROM daily_sketches WHERE {condition}"
    );
    let twice = values.iter().chain(&values);
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(duckdb::params_from_iter(twice), |row| row.get(0))?.collect()
}

impl SeriesFilter {
    /// What a row's own columns must be, as SQL with its parameters.
    pub(super) fn condition(&self) -> (String, Vec<&str>) {
        let asked = [("model", &self.model), ("target", &self.target), ("operation", &self.operation)];
        let asked = asked.iter().filter_map(|(column, value)| Some((column, value.as_deref()?)));
        let (conditions, values): (Vec<_>, Vec<_>) =
            asked.map(|(column, value)| (format!(" AND {column} = ?"), value)).unzip();
        (format!("true{}", conditions.concat()), values)
    }

    /// The same, of rows that a series has: what was run to warm up is no measurement.
    pub(super) fn series_condition(&self) -> (String, Vec<&str>) {
        let (condition, values) = self.condition();
        (format!("operation IS DISTINCT FROM '{WARM_UP}' AND {condition}"), values)
    }
}

/// An adapter's short name, which is part of a series' key, and all that else is known.
fn described(row: &Row<'_>, tabfleet: Option<String>) -> duckdb::Result<(Option<String>, Environment)> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let joined = |words: Vec<String>| (!words.is_empty()).then(|| words.join(" "));
    let (short, description, webnn): (Vec<_>, _, _) =
        ([text(6)?, text(7)?, text(8)?].into_iter().flatten().collect(), text(9)?, text(10)?);
    let whole: Vec<_> = short.iter().chain(&description).chain(&webnn).cloned().collect();
    // An adapter without vendor and architecture is known by its description only.
    let key = joined(short).or(description).or(webnn);
    let environment = Environment {
        model: None,
        product: text(3)?,
        version: text(4)?,
        headless: row.get(5)?,
        adapter: joined(whole),
        runtime: text(11)?,
        runtime_version: text(12)?,
        threads: row.get(13)?,
        tabfleet,
    };
    Ok((key, environment))
}
