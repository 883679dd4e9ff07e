//! Time steps and the residuals of Newton's iterations, as non-linear commands print them.

use super::numbers;
use serde::Serialize;
use serde_json::value::RawValue;

/// Columns of a residual table that are looked at.
const COLUMNS_MAX: usize = 20;

/// One iteration.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Iteration {
    pub(super) iteration: u32,
    /// RESI_GLOB_RELA: the largest residual over the largest load, without unit.
    pub(super) relative: Option<Box<RawValue>>,
    /// RESI_GLOB_MAXI: the largest residual, in the units of forces.
    pub(super) maximum: Option<Box<RawValue>>,
}

/// The steps of all non-linear commands together.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Steps {
    /// Steps begun; one that is cut in smaller ones counts once for each try.
    pub(super) count: u64,
    /// Tries of a part of a step (`Niveau de découpe` over 0).
    pub(super) cut: u64,
    /// The last step's time, as it was printed.
    pub(super) last: Option<Box<RawValue>>,
    /// Newton iterations.
    pub(super) iterations: u64,
    pub(super) last_iteration: Option<Iteration>,
}

/// Follows steps and residual tables.
#[derive(Debug, Default)]
pub(super) struct Newton {
    pub(super) steps: Steps,
    columns: Option<Columns>,
    /// The headings above the one that names the residuals.
    headings: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Columns {
    iteration: usize,
    relative: Option<usize>,
    maximum: Option<usize>,
}

/// What a line told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Step,
    Iteration,
}

impl Newton {
    pub(super) fn line(&mut self, line: &str) -> Option<Told> {
        if let Some(text) = after_instant(line) {
            return self.step(text);
        }
        let text = line.trim();
        if let Some(row) = text.strip_prefix('|') {
            let cells: Vec<&str> = row.trim_end_matches('|').split('|').take(COLUMNS_MAX).map(str::trim).collect();
            return self.row(&cells);
        }
        // A rule of dashes stands between a table's headings and its rows.
        if !text.is_empty() && !text.bytes().all(|byte| byte == b'-') {
            (self.columns, self.headings) = (None, Vec::new());
        }
        None
    }

    fn step(&mut self, text: &str) -> Option<Told> {
        let time = numbers::json_number(text.split_whitespace().next()?)?;
        self.steps.count += 1;
        let level = text.rsplit_once(':').and_then(|(_, level)| level.trim().parse::<u32>().ok());
        self.steps.cut += u64::from(level.is_some_and(|level| level > 0));
        (self.steps.last, self.steps.last_iteration, self.columns) = (Some(time), None, None);
        Some(Told::Step)
    }

    fn row(&mut self, cells: &[&str]) -> Option<Told> {
        let named = |name: &str| cells.iter().position(|cell| cell.contains(name));
        let (relative, maximum) = (named("RESI_GLOB_RELA"), named("RESI_GLOB_MAXI"));
        if relative.or(maximum).is_some() {
            let iteration = self.headings.iter().position(|heading| heading.contains("NEWTON")).unwrap_or(0);
            self.columns = Some(Columns { iteration, relative, maximum });
            self.headings.clear();
            return None;
        }
        let Some(columns) = self.columns else {
            self.headings.resize(cells.len().max(self.headings.len()), String::new());
            let room = self.headings.iter().all(|heading| heading.len() < 256);
            self.headings.iter_mut().zip(cells).filter(|_| room).for_each(|(heading, cell)| heading.push_str(cell));
            return None;
        };
        let first_word = |at: usize| cells.get(at).and_then(|cell| cell.split_whitespace().next());
        let iteration = first_word(columns.iteration)?.parse().ok()?;
        let residual = |at: Option<usize>| at.and_then(first_word).and_then(numbers::json_number);
        let (relative, maximum) = (residual(columns.relative), residual(columns.maximum));
        self.steps.iterations += 1;
        self.steps.last_iteration = Some(Iteration { iteration, relative, maximum });
        Some(Told::Iteration)
    }
}

/// What follows `Instant de calcul:` or its English form.
fn after_instant(line: &str) -> Option<&str> {
    let rest = ["Instant de calcul", "Time of computation"]
        .into_iter()
        .find_map(|name| line.trim_start().strip_prefix(name))?;
    rest.trim_start().strip_prefix(':')
}

impl Steps {
    /// The last residuals, for a person.
    pub(super) fn residuals(&self) -> Option<String> {
        let last = self.last_iteration.as_ref()?;
        let shown =
            |name: &str, value: &Option<Box<RawValue>>| value.as_ref().map(|value| format!("{name} {}", value.get()));
        let parts = [shown("RESI_GLOB_RELA", &last.relative), shown("RESI_GLOB_MAXI", &last.maximum)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Instant de calcul:  2.500000000000E-01 - Niveau de découpe: 1\n\
---------------------------------------------------------------------\n\
|     NEWTON     |     RESIDU     |     RESIDU     |     OPTION     |\n\
|    ITERATION   |     RELATIF    |     ABSOLU     |   ASSEMBLAGE   |\n\
|                | RESI_GLOB_RELA | RESI_GLOB_MAXI |                |\n\
---------------------------------------------------------------------\n\
|     0        X | 9.17109E-01  X | 1.45013E+04    |TANGENTE        |\n\
|     1          | 3.20000E-08    | 1.10000E-03    |                |\n\
---------------------------------------------------------------------\n";

    #[test]
    fn steps_and_residuals_are_followed() {
        let mut newton = Newton::default();
        let told: Vec<_> = TABLE.lines().filter_map(|line| newton.line(line)).collect();
        assert_eq!(told, [Told::Step, Told::Iteration, Told::Iteration]);
        assert_eq!(newton.steps.residuals().unwrap(), "RESI_GLOB_RELA 3.20000E-08, RESI_GLOB_MAXI 1.10000E-03");
        assert_eq!(
            serde_json::to_string(&newton.steps).unwrap(),
            r#"{"count":1,"cut":1,"last":2.500000000000E-01,"iterations":2,"last_iteration":{"iteration":1,"relative":3.20000E-08,"maximum":1.10000E-03}}"#
        );
    }

    #[test]
    fn contact_moves_the_columns() {
        let mut newton = Newton::default();
        let text = "| CONTACT | NEWTON | RESIDU | CONTACT |\n| BCL. | ITERATION | ABSOLU | NEWTON GENE |\n|  |  | RESI_GLOB_MAXI |  |\n| 3 | 7 X | 2.0D+01 X |  |\n";
        let told: Vec<_> = text.lines().filter_map(|line| newton.line(line)).collect();
        assert_eq!(told, [Told::Iteration]);
        let last = newton.steps.last_iteration.unwrap();
        assert_eq!((last.iteration, last.maximum.unwrap().get(), last.relative.is_none()), (7, "2.0E+01", true));
    }

    #[test]
    fn other_tables_are_no_residuals() {
        let mut newton = Newton::default();
        for line in ["| a | b |", "| 1 | 2 |", "Instant de calcul: soon", "Time of computation", "|", "||||"] {
            assert_eq!(newton.line(line), None, "{line}");
        }
        assert_eq!(newton.line("Time of computation: 1.5"), Some(Told::Step));
    }
}
