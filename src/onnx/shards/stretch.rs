//! What a stretch of the line would be as a stage.

use super::{
    component::Component,
    cost::Costs,
    graph::{ModelGraph, TensorId},
    line::Line,
};

/// What a stretch of the line would cost as a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stretch {
    pub flops: f64,
    /// Computing, on a target of speed 1.
    pub ms: f64,
    /// The same, by what the nodes belong to.
    pub ms_by_component: [f64; Component::ALL.len()],
    /// What it is given and what it gives in each job.
    pub in_bytes: u64,
    pub out_bytes: u64,
    pub weight_bytes: u64,
    /// The most that is alive in its course.
    pub live_bytes: u64,
}

impl Stretch {
    pub const fn memory_bytes(&self) -> u64 {
        self.weight_bytes + self.live_bytes
    }
}

/// Tells of stretches.
pub(super) struct Stretches<'a> {
    pub graph: &'a ModelGraph,
    pub costs: &'a Costs,
    pub line: &'a Line,
    /// By place: the time a node takes on a target of speed 1.
    pub ms: Vec<f64>,
    /// By place.
    pub components: Vec<Component>,
    /// By place: what is alive while it runs.
    live: Vec<u64>,
    /// By place: the tensors that it is the last to read.
    ends: Vec<Vec<TensorId>>,
}

impl<'a> Stretches<'a> {
    pub fn new(
        graph: &'a ModelGraph,
        costs: &'a Costs,
        line: &'a Line,
        ms: Vec<f64>,
        components: Vec<Component>,
    ) -> Self {
        let places = line.nodes.len();
        let mut ends = vec![Vec::new(); places];
        let mut steps = vec![0_i64; places + 1];
        let mut first_read = vec![None; graph.tensors.len()];
        for (place, reads) in line.reads.iter().enumerate() {
            reads.iter().for_each(|id| _ = first_read[*id].get_or_insert(place));
        }
        for (id, first_read) in first_read.into_iter().enumerate() {
            let Some(from) = line.made[id].or(first_read) else { continue };
            let until = line.last_read[id].unwrap_or(from);
            ends[until].push(id);
            steps[from] += costs.bytes[id] as i64;
            steps[until + 1] -= costs.bytes[id] as i64;
        }
        let live = steps.into_iter().take(places).scan(0_i64, |sum, step| {
            *sum += step;
            Some(*sum as u64)
        });
        Self { live: live.collect(), graph, costs, line, ms, components, ends }
    }

    /// Every stretch that begins at the bound of this index and ends at a later one, in their order.
    pub fn from(&self, bounds: &'a [usize], first: usize) -> Vec<Stretch> {
        let begin = bounds[first];
        let mut stretch = Stretch::default();
        let mut given = vec![false; self.graph.tensors.len()];
        let mut rest = bounds[first + 1..].iter().peekable();
        let mut stretches = Vec::with_capacity(rest.len());
        for place in begin..bounds.last().copied().unwrap_or(begin) {
            self.add(&mut stretch, &mut given, begin, place);
            if rest.next_if_eq(&&(place + 1)).is_some() {
                stretches.push(stretch);
            }
        }
        stretches
    }

    /// The one stretch between two places.
    pub fn between(&self, begin: usize, end: usize) -> Stretch {
        let mut stretch = Stretch::default();
        let mut given = vec![false; self.graph.tensors.len()];
        (begin..end).for_each(|place| self.add(&mut stretch, &mut given, begin, place));
        stretch
    }

    fn add(&self, stretch: &mut Stretch, given: &mut [bool], begin: usize, place: usize) {
        let (line, crossing) = (self.line, &self.costs.crossing);
        stretch.flops += self.costs.flops[line.nodes[place]];
        stretch.ms += self.ms[place];
        stretch.ms_by_component[self.components[place] as usize] += self.ms[place];
        stretch.live_bytes = stretch.live_bytes.max(self.live[place]);
        for id in &line.reads[place] {
            let outside = line.made[*id].is_none_or(|made| made < begin);
            if outside && !std::mem::replace(&mut given[*id], true) {
                stretch.in_bytes += crossing[*id];
            }
        }
        for id in &line.weights[place] {
            if !std::mem::replace(&mut given[*id], true) {
                stretch.weight_bytes += self.costs.bytes[*id];
            }
        }
        let crosses = |id: TensorId| line.leaves[id] || line.last_read[id].is_some_and(|last| last > place);
        for id in self.graph.nodes[line.nodes[place]].makes().filter(|id| crosses(*id)) {
            stretch.out_bytes += crossing[id];
        }
        let read_up =
            |id: TensorId| line.made[id].is_some_and(|made| begin <= made && made < place) && !line.leaves[id];
        for id in self.ends[place].iter().filter(|id| read_up(**id)) {
            stretch.out_bytes -= crossing[*id];
        }
    }
}
