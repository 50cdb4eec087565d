//! The mean of something over a normal variable.

/// Nodes, in standard deviations, and their weights (Gauss and Hermite: Abramowitz and Stegun, 25.10).
pub(super) const NORMAL: [(f64, f64); 5] = [
    (-2.856_970_013_872_806, 0.011_257_411_327_720_69),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (2.856_970_013_872_806, 0.011_257_411_327_720_69),
];

#[cfg(test)]
mod tests {
    use super::NORMAL;

    #[test]
    fn moments_are_those_of_a_normal_variable() {
        for (power, moment) in [(0, 1.0), (1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0), (6, 15.0), (8, 105.0)] {
            let mean: f64 = NORMAL.iter().map(|(node, weight)| weight * node.powi(power)).sum();
            assert!((mean - moment).abs() < 1e-9, "{power}: {mean}");
        }
    }
}
