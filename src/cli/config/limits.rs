//! The kinds of value that bound something: a least and a most, and a limit that need not be.

use super::kind::{Arity, Kind, Number, Raw};
use std::ops::RangeInclusive;

/// A number, or a range of them: `2`, `1-4`.
pub(super) struct Range(pub RangeInclusive<u32>);

impl Kind for Range {
    type Value = RangeInclusive<u32>;
    const VALUE_NAME: &'static str = "NUMBER|FROM-TO";
    fn expected(&self) -> String {
        format!("{}, or a range of such numbers written 1-4", Number(self.0.clone()).expected())
    }
    fn parse(&self, raw: &Raw) -> Option<RangeInclusive<u32>> {
        let Raw::Text(text) = raw else { return None };
        let number = |text: &str| Number(self.0.clone()).parse(&Raw::Text(text.to_owned()));
        match text.split_once('-') {
            None => number(text).map(|number| number..=number),
            Some((least, most)) => Some(number(least)?..=number(most)?).filter(|range| !range.is_empty()),
        }
    }
    fn show(&self, value: &RangeInclusive<u32>) -> String {
        let (least, most) = (value.start(), value.end());
        if least == most { least.to_string() } else { format!("{least}-{most}") }
    }
}

/// A limit, or none.
pub(super) struct MaybeLimit<K>(pub K);

impl<K: Kind> Kind for MaybeLimit<K> {
    type Value = Option<K::Value>;
    const VALUE_NAME: &'static str = K::VALUE_NAME;
    const ARITY: Arity = K::ARITY;
    fn expected(&self) -> String {
        format!("{}, or none", self.0.expected())
    }
    fn parse(&self, raw: &Raw) -> Option<Option<K::Value>> {
        match raw {
            Raw::Text(text) if text.trim() == "none" => Some(None),
            raw => self.0.parse(raw).map(Some),
        }
    }
    fn show(&self, value: &Option<K::Value>) -> String {
        value.as_ref().map_or("none".to_owned(), |limit| self.0.show(limit))
    }
}
