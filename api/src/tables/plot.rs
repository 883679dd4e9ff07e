//! Which numbers of a table are drawn against one another. The drawing itself is Python, and is run in a sandbox like
//! any other.

use super::columns::{Columns, Part};
use super::flatten::{Cell, cells};
use mecapy_model::Fault;
use serde::Serialize;
use std::collections::HashMap;
use std::str::FromStr;

/// What draws: `main(**inputs)` writes `plot.png` or `plot.svg`.
pub const SOURCE: &str = include_str!("plot.py");
/// Points of one picture.
pub const POINTS_MAX: usize = 50_000;
/// Lines of one picture: more can't be told apart.
pub const GROUPS_MAX: usize = 24;
/// The longest name of a line, in characters.
const GROUP_CHARS_MAX: usize = 60;
/// Columns that a message names.
const COLUMNS_TOLD_MAX: usize = 50;

/// The columns of a picture, each as a table names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes {
    pub x: String,
    pub y: String,
    /// Rows with the same value here are a line.
    pub group: Option<String>,
}

/// What a picture is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Picture {
    /// 1152 by 720 pixels: 8 by 5 inches at 144 to the inch.
    #[default]
    Png,
    Svg,
}

/// The numbers of a picture, as they are collected.
#[derive(Debug)]
pub struct Plot {
    axes: Axes,
    columns: Columns,
    points: Points,
    groups: HashMap<Box<str>, usize>,
}

#[derive(Debug, Default, Serialize)]
struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
    /// The place of each point's line in `names`; empty without lines.
    group: Vec<usize>,
    names: Vec<String>,
}

#[derive(Serialize)]
struct Inputs<'a> {
    #[serde(flatten)]
    points: &'a Points,
    x_label: &'a str,
    y_label: &'a str,
    group_label: Option<&'a str>,
    title: &'a str,
    picture: &'static str,
}

impl Picture {
    pub const fn as_str(self) -> &'static str {
        match self {
            Picture::Png => "png",
            Picture::Svg => "svg",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Picture::Png => "image/png",
            Picture::Svg => "image/svg+xml",
        }
    }
}

impl FromStr for Picture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "png" => Ok(Picture::Png),
            "svg" => Ok(Picture::Svg),
            _ => Err(format!("unknown format {text:?}: use png or svg")),
        }
    }
}

impl Plot {
    /// Of rows with these `parts`.
    pub fn new(axes: Axes, parts: &'static [Part]) -> Self {
        Self { axes, columns: Columns::new(parts), points: Points::default(), groups: HashMap::new() }
    }

    /// Takes a row's point, where it has both numbers.
    ///
    /// # Errors
    /// What can't be drawn, by the field of the query that asks for it.
    pub fn see(&mut self, row: &[&str]) -> Result<(), Fault> {
        // Rows with more columns than a table may have are still good for those that are asked for.
        let _ = self.columns.see(row);
        let Axes { x, y, group } = &self.axes;
        let (mut at_x, mut at_y, mut at_group) = (Cell::Null, Cell::Null, Cell::Null);
        for (part, text) in self.columns.parts().iter().zip(row) {
            cells(part.name(), text, &mut |path, cell| {
                if path == x {
                    at_x = cell.clone();
                }
                if path == y {
                    at_y = cell.clone();
                }
                if group.as_deref() == Some(path) {
                    at_group = cell;
                }
            });
        }
        let (Some(x), Some(y)) = (number("/x", x, &at_x)?, number("/y", y, &at_y)?) else { return Ok(()) };
        if group.is_some() {
            let place = self.line(at_group.shown().unwrap_or("null"))?;
            self.points.group.push(place);
        }
        if self.points.x.len() >= POINTS_MAX {
            let message = format!("there are more than {POINTS_MAX} points, too many for a picture");
            return Err(Fault::new("/x", "too_many", message));
        }
        self.points.x.push(x);
        self.points.y.push(y);
        Ok(())
    }

    /// The inputs of [`SOURCE`] as JSON. `label` is what an axis is called, by its column.
    ///
    /// # Errors
    /// A column that no row has, or nothing to draw.
    pub fn finish(self, title: &str, picture: Picture, label: impl Fn(&str) -> String) -> Result<String, Fault> {
        let Axes { x, y, group } = &self.axes;
        let known = self.columns.names();
        let asked = [("/x", Some(x)), ("/y", Some(y)), ("/group", group.as_ref())];
        for (pointer, name) in asked.into_iter().filter_map(|(pointer, name)| Some((pointer, name?))) {
            if !known.contains(&name.as_str()) {
                let shown: Vec<_> = known.iter().take(COLUMNS_TOLD_MAX).copied().collect();
                let message = format!("there is no column {name:?}: there are {}", shown.join(", "));
                return Err(Fault::new(pointer, "unknown_column", message));
            }
        }
        if self.points.x.is_empty() {
            let message = format!("no row has a number in both {x:?} and {y:?} yet");
            return Err(Fault::new("/y", "nothing_to_draw", message));
        }
        let group_label = group.as_deref().map(&label);
        let inputs = Inputs {
            points: &self.points,
            x_label: &label(x),
            y_label: &label(y),
            group_label: group_label.as_deref(),
            title,
            picture: picture.as_str(),
        };
        serde_json::to_string(&inputs).map_err(|error| Fault::new("", "invalid", error.to_string()))
    }

    /// The place of the line called `name`.
    fn line(&mut self, name: &str) -> Result<usize, Fault> {
        let name: String = name.chars().take(GROUP_CHARS_MAX).collect();
        if let Some(place) = self.groups.get(name.as_str()) {
            return Ok(*place);
        }
        let place = self.points.names.len();
        if place >= GROUPS_MAX {
            let message = format!("it has more than {GROUPS_MAX} different values, too many lines to tell apart");
            return Err(Fault::new("/group", "too_many", message));
        }
        self.groups.insert(name.as_str().into(), place);
        self.points.names.push(name);
        Ok(place)
    }
}

/// The number in a cell; `None` where it has none.
fn number(pointer: &str, name: &str, cell: &Cell<'_>) -> Result<Option<f64>, Fault> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Number(_) => Ok(cell.double()),
        Cell::Bool(_) | Cell::Text(_) | Cell::Json(_) => {
            let message =
                format!("{name:?} has values that are no numbers: give it as \"group\", or take another column");
            Err(Fault::new(pointer, "wrong_type", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 2] = [Part::Found("inputs"), Part::Found("result")];

    fn plot(x: &str, y: &str, group: Option<&str>) -> Plot {
        Plot::new(Axes { x: x.to_owned(), y: y.to_owned(), group: group.map(str::to_owned) }, &PARTS)
    }

    fn fault(plot: Plot) -> (String, String, String) {
        let fault = plot.finish("", Picture::Png, str::to_owned).unwrap_err();
        (fault.pointer, fault.code, fault.message)
    }

    #[test]
    fn points_are_those_rows_that_have_both_numbers() {
        let mut plot = plot("inputs.d", "result.s", Some("inputs.steel"));
        plot.see(&[r#"{"d":8,"steel":"8.8"}"#, r#"{"s":0.1}"#]).unwrap();
        plot.see(&[r#"{"d":10,"steel":"8.8"}"#, "null"]).unwrap();
        plot.see(&[r#"{"d":12,"steel":10.9}"#, r#"{"s":1e400}"#]).unwrap();
        plot.see(&[r#"{"d":14,"steel":10.9}"#, r#"{"s":2}"#]).unwrap();
        let inputs = plot.finish("M", Picture::Svg, |column| format!("{column} [mm]")).unwrap();
        let expected = concat!(
            r#"{"x":[8.0,14.0],"y":[0.1,2.0],"group":[0,1],"names":["8.8","10.9"],"x_label":"inputs.d [mm]","#,
            r#""y_label":"result.s [mm]","group_label":"inputs.steel [mm]","title":"M","picture":"svg"}"#
        );
        assert_eq!(inputs, expected);
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let mut unknown = plot("inputs.x", "result.s", None);
        unknown.see(&[r#"{"d":8}"#, r#"{"s":1}"#]).unwrap();
        let (pointer, code, message) = fault(unknown);
        assert_eq!((&*pointer, &*code), ("/x", "unknown_column"));
        assert!(message.contains("inputs.d, result.s"), "{message}");
        let mut nothing = plot("inputs.d", "result.s", None);
        nothing.see(&[r#"{"d":8}"#, r#"{"s":null}"#]).unwrap();
        assert_eq!(fault(nothing).1, "nothing_to_draw");
        let texts = plot("inputs.d", "result.s", None).see(&[r#"{"d":"M8"}"#, r#"{"s":1}"#]).unwrap_err();
        assert_eq!((&*texts.pointer, &*texts.code), ("/x", "wrong_type"));
        let mut many = plot("inputs.d", "inputs.d", Some("inputs.d"));
        let seen: Result<Vec<_>, _> = (0..30).map(|n| many.see(&[&format!("{{\"d\":{n}}}"), "null"])).collect();
        assert_eq!(seen.unwrap_err().pointer, "/group");
        let mut full = plot("inputs.d", "inputs.d", None);
        let seen: Result<Vec<_>, _> = (0..=POINTS_MAX).map(|_| full.see(&[r#"{"d":1}"#, "null"])).collect();
        assert_eq!(seen.unwrap_err().code, "too_many");
    }
}
