//! Badges: a small picture for each target, with how many of its cases passed.

use super::{MatrixReport, ReportError, file};
use crate::types::Verdict;
use std::path::Path;

/// Writes a badge for each target into the folder, `chrome-wasm.svg`, and `matrix.svg` for all of them together. Each
/// file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] names the first file that cannot be written; an old one is then left as it was.
pub fn write_badges(report: &MatrixReport, folder: &Path) -> Result<(), ReportError> {
    let write = |name: &str, label: &str, score: Score| {
        file::replace(&folder.join(format!("{name}.svg")), |out| out.write_all(badge(label, score).as_bytes()))
    };
    write("matrix", "tabfleet matrix", Score::of(report.results.iter().map(|result| result.verdict)))?;
    report.columns().into_keys().try_for_each(|column| {
        let verdicts = report.results.iter().filter(|result| result.column() == column).map(|result| result.verdict);
        write(&file::name_of(column), &column.to_string(), Score::of(verdicts))
    })
}

/// How many passed of those that were tried.
#[derive(Clone, Copy)]
struct Score {
    passed: usize,
    tried: usize,
}

impl Score {
    fn of(verdicts: impl Iterator<Item = Verdict>) -> Self {
        verdicts.fold(Self { passed: 0, tried: 0 }, |sum, verdict| Self {
            passed: sum.passed + usize::from(verdict == Verdict::Pass),
            tried: sum.tried + usize::from(verdict == Verdict::Pass || verdict.is_failure()),
        })
    }

    /// White on it has a contrast of 4.5 or more.
    fn colour(self) -> &'static str {
        match self.passed * 100 {
            _ if self.tried == 0 => "#5c636e",
            _ if self.passed == self.tried => "#1a7f4b",
            percent if percent >= self.tried * 90 => "#8a5a00",
            _ => "#b3152b",
        }
    }

    fn says(self) -> String {
        if self.tried == 0 { "not tried".to_owned() } else { format!("{} of {} pass", self.passed, self.tried) }
    }
}

/// Verdana's digits and letters are about this wide at 11 px. The texts are told their length, so that every font fits.
const LETTER: usize = 7;
const MARGIN: usize = 8;

fn badge(label: &str, score: Score) -> String {
    let says = score.says();
    let [left, right] = [label, &says].map(|text| text.chars().count() * LETTER);
    let (split, width) = (left + 2 * MARGIN, left + right + 4 * MARGIN);
    let [label, says] =
        [label, &says].map(|text| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"));
    let colour = score.colour();
    let text = |x: usize, length: usize, text: &str| {
        format!(r#"<text x="{x}" y="14" textLength="{length}" lengthAdjust="spacingAndGlyphs">{text}</text>"#)
    };
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {says}">
<title>{label}: {says}</title>
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{split}" height="20" fill="#3b4148"/><rect x="{split}" width="{}" height="20" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{}{}</g>
</svg>
"##,
        width - split,
        text(MARGIN, left, &label),
        text(split + MARGIN, right, &says),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_badge_for_each_target_and_one_for_all() {
        let folder = tempfile::tempdir().unwrap();
        write_badges(&sample::matrix(), folder.path()).unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, sample::targets().len() + 1);
        insta::assert_snapshot!(std::fs::read_to_string(folder.path().join("edge-webnn.svg")).unwrap());
        let unavailable = std::fs::read_to_string(folder.path().join("chrome-webnn.svg")).unwrap();
        assert!(unavailable.contains("not tried"), "{unavailable}");
    }
}
