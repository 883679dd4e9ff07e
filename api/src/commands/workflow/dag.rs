//! The nodes of a run as lines: layer by layer, each with its state, its time and what is to be said of it. Pure.

use crate::{
    client::RunNode,
    commands::terminal::{Painter, Style, duration, neutralise_line},
};
use console::{Alignment, pad_str, truncate_str};
use std::collections::HashMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Columns of a node's key; longer ones are cut.
const KEY_COLUMNS_MAX: usize = 28;
/// Columns of a time.
const TIME_COLUMNS: usize = 9;
/// States that say what a run is busy with: their nodes are shown whatever else is left out.
const LIVELY: [&str; 5] = ["running", "waiting", "approval", "failed", "ready"];

/// How much room there is, and what time it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub rows: usize,
    pub columns: usize,
    pub painter: Painter,
    pub now: OffsetDateTime,
}

impl View {
    /// One line for each node, those of a layer joined by a rail. Where there are more than rows, those are left out
    /// that nothing happens to.
    pub(super) fn lines(&self, nodes: &[RunNode]) -> Vec<String> {
        let layers = layers(nodes);
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by_key(|index| layers.get(*index));
        let keys = nodes.iter().map(|node| console::measure_text_width(&neutralise_line(&node.key)));
        let width = keys.max().unwrap_or(0).min(KEY_COLUMNS_MAX);
        let shown = self.chosen(&order, nodes);
        let layer_of = |place: usize| order.get(place).and_then(|index| layers.get(*index));
        let mut lines: Vec<String> = Vec::new();
        for place in shown.iter().copied() {
            let Some(node) = order.get(place).and_then(|index| nodes.get(*index)) else { continue };
            let own = layer_of(place);
            let above = place > 0 && layer_of(place - 1) == own;
            let below = layer_of(place + 1) == own && own.is_some();
            lines.push(self.line(node, rail(above, below), width));
        }
        if shown.len() < nodes.len() {
            lines.push(self.painter.paint(Style::Dim, &self.fitted(&left_out(&order, &shown, nodes))));
        }
        lines
    }

    /// One node, without its rail, for a log.
    pub(super) fn told(&self, node: &RunNode) -> String {
        let about = self.about(node);
        let time = self.took(node).map(|took| format!(" ({took})")).unwrap_or_default();
        let about = if about.is_empty() { about } else { format!(": {about}") };
        self.fitted(&format!("{} {} {}{time}{about}", glyph(&node.state).0, neutralise_line(&node.key), node.state))
    }

    fn line(&self, node: &RunNode, rail: &str, width: usize) -> String {
        let (glyph, style) = glyph(&node.state);
        let key = neutralise_line(&node.key);
        let key = pad_str(&key, width, Alignment::Left, Some("…"));
        let time = self.took(node).unwrap_or_default();
        let about = self.about(node);
        let plain = format!("{rail} {glyph} {key} {time:>TIME_COLUMNS$}  {about}");
        let fitted = self.fitted(plain.trim_end());
        // Painted once it is cut, so that no colour is left open.
        match fitted.split_once(glyph) {
            Some((before, after)) => {
                format!("{}{}{after}", self.painter.paint(Style::Dim, before), self.painter.paint(style, glyph))
            }
            None => fitted,
        }
    }

    /// What is to be said beside the state that the glyph shows.
    fn about(&self, node: &RunNode) -> String {
        let mut parts = Vec::new();
        if let Some(width) = node.width {
            parts.push(format!("{} of {width}", node.counts.completed));
            for (count, what) in [(node.counts.failed, "failed"), (node.counts.cancelled, "cancelled")] {
                if count > 0 {
                    parts.push(format!("{count} {what}"));
                }
            }
        }
        let attempt = node.instance.as_ref().map_or(0, |instance| instance.attempt);
        if attempt > 1 {
            parts.push(format!("try {attempt}"));
        }
        let said = match node.state.as_str() {
            "waiting" => Some("tries again in a while".to_owned()),
            "approval" => Some(node.message.clone().unwrap_or_else(|| "waits for an answer".to_owned())),
            "failed" => node.error.as_ref().map(|error| format!("{}: {}", error.kind, error.message)),
            "skipped" => node.skipped.clone(),
            "cancelled" => Some("cancelled".to_owned()),
            _ => None,
        };
        parts.extend(said.map(|said| neutralise_line(&said)));
        parts.join(", ")
    }

    fn took(&self, node: &RunNode) -> Option<String> {
        let started = at(node.started_at.as_deref())?;
        let is_over = matches!(node.state.as_str(), "completed" | "failed" | "skipped" | "cancelled");
        let until = at(node.ended_at.as_deref()).or((!is_over).then_some(self.now))?;
        // The clocks of two machines differ: nothing took less than no time.
        Some(duration((until - started).as_seconds_f64().max(0.0) * 1_000.0))
    }

    /// The line in the columns that there are; the last one stays free, since some terminals wrap there.
    pub(super) fn fitted(&self, line: &str) -> String {
        truncate_str(line, self.columns.saturating_sub(1).max(20), "…").into_owned()
    }

    /// The places that are shown, in their order.
    fn chosen(&self, order: &[usize], nodes: &[RunNode]) -> Vec<usize> {
        let rows = self.rows.max(3);
        if order.len() <= rows {
            return (0..order.len()).collect();
        }
        // A row is for what is said of the others.
        let rows = rows - 1;
        let is_lively = |place: &usize| {
            let node = order.get(*place).and_then(|index| nodes.get(*index));
            node.is_some_and(|node| LIVELY.contains(&node.state.as_str()))
        };
        let mut shown: Vec<usize> = (0..order.len()).filter(is_lively).take(rows).collect();
        // The newest of what is done says most of the rest, and what comes next after it.
        let first = shown.first().copied().unwrap_or(0);
        let near = (0..first).rev().chain(first..order.len()).filter(|place| !is_lively(place));
        shown.extend(near.take(rows - shown.len()));
        shown.sort_unstable();
        shown
    }
}

/// The layer of each node: one more than the highest of those that it waits for.
pub(super) fn layers(nodes: &[RunNode]) -> Vec<usize> {
    let places: HashMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.key.as_str(), at)).collect();
    let mut layers = vec![0_usize; nodes.len()];
    // As many rounds as there are nodes reach the end of any chain, and end where a server tells of a cycle.
    for _ in 0..nodes.len() {
        let mut is_settled = true;
        for (at, node) in nodes.iter().enumerate() {
            let before = node.after.iter().filter_map(|key| layers.get(*places.get(key.as_str())?).copied());
            let layer = before.max().map_or(0, |highest| highest + 1);
            if let Some(own) = layers.get_mut(at).filter(|own| **own != layer) {
                *own = layer;
                is_settled = false;
            }
        }
        if is_settled {
            break;
        }
    }
    layers
}

fn rail(above: bool, below: bool) -> &'static str {
    match (above, below) {
        (false, false) => "──",
        (false, true) => "┬─",
        (true, true) => "├─",
        (true, false) => "└─",
    }
}

/// Different without colours too.
fn glyph(state: &str) -> (&'static str, Style) {
    match state {
        "ready" => ("○", Style::Blue),
        "running" => ("●", Style::Blue),
        "waiting" => ("↻", Style::Yellow),
        "approval" => ("?", Style::Yellow),
        "completed" => ("✓", Style::Green),
        "failed" => ("✗", Style::Red),
        "skipped" => ("↷", Style::Dim),
        "cancelled" => ("⊘", Style::Yellow),
        _ => ("·", Style::Dim),
    }
}

/// How many nodes are not shown, by state in the order of their first.
fn left_out(order: &[usize], shown: &[usize], nodes: &[RunNode]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (place, index) in order.iter().enumerate() {
        let Some(node) = nodes.get(*index).filter(|_| shown.binary_search(&place).is_err()) else { continue };
        match counts.iter_mut().find(|(state, _)| *state == node.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((&node.state, 1)),
        }
    }
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let parts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {}", neutralise_line(state))).collect();
    format!("   … and {total} more: {}", parts.join(", "))
}

/// A time of the server's.
pub(super) fn at(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn view(rows: usize, columns: usize) -> View {
        View { rows, columns, painter: Painter::Plain, now: datetime!(2026-01-01 00:00:03.5 UTC) }
    }

    fn node(key: &str, state: &str, after: &[&str]) -> RunNode {
        RunNode {
            key: key.to_owned(),
            state: state.to_owned(),
            after: after.iter().map(|key| (*key).to_owned()).collect(),
            ..RunNode::default()
        }
    }

    fn read(text: &str) -> RunNode {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_layer_is_above_all_that_it_waits_for() {
        let nodes = [
            node("check", "pending", &["solve", "loads"]),
            node("solve", "pending", &["mesh"]),
            node("loads", "pending", &[]),
            node("mesh", "pending", &["loads", "nowhere"]),
        ];
        assert_eq!(layers(&nodes), [3, 2, 0, 1]);
        // A server that tells of a cycle is not followed for ever.
        let cycle = [node("a", "pending", &["b"]), node("b", "pending", &["a"])];
        assert_eq!(layers(&cycle).len(), 2);
    }

    #[test]
    fn nodes_are_shown_layer_by_layer() {
        let nodes = [
            read(
                r#"{"key":"loads","state":"completed","started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:00.4Z"}"#,
            ),
            read(
                r#"{"key":"solve","state":"running","after":["loads"],"width":40,"counts":{"completed":12,"failed":2},
                "started_at":"2026-01-01T00:00:01Z"}"#,
            ),
            read(
                r#"{"key":"mesh","state":"waiting","after":["loads"],"instance":{"attempt":2},"started_at":"2026-01-01T00:00:03Z"}"#,
            ),
            read(r#"{"key":"sign\u001b","state":"approval","after":["loads"],"message":"Is it safe?"}"#),
            read(r#"{"key":"report","state":"pending","after":["solve","sign"]}"#),
        ];
        let expected = [
            "── ✓ loads     400 ms",
            "┬─ ● solve     2.50 s  12 of 40, 2 failed",
            "├─ ↻ mesh      500 ms  try 2, tries again in a while",
            "└─ ? sign␛             Is it safe?",
            "── · report",
        ];
        assert_eq!(view(24, 80).lines(&nodes), expected);
        assert_eq!(view(24, 80).told(&nodes[1]), "● solve running (2.50 s): 12 of 40, 2 failed");
    }

    #[test]
    fn lines_fit_the_columns_and_colours_are_closed() {
        let failed = read(
            r#"{"key":"a_key_that_is_longer_than_any_table_likes","state":"failed","error":{"kind":"exception",
            "message":"ValueError: the section is too thin for the load that was asked for, by far"}}"#,
        );
        let lines = view(24, 60).lines(std::slice::from_ref(&failed));
        assert_eq!(lines, ["── ✗ a_key_that_is_longer_than_a…            exception: Va…"]);
        let colours = View { painter: Painter::Colours, ..view(24, 60) }.lines(&[failed]);
        assert_eq!(console::measure_text_width(&colours[0]), 59);
        assert_eq!(colours[0].matches("\x1b[0m").count(), 2);
    }

    #[test]
    fn what_is_busy_is_shown_where_not_all_fits() {
        let nodes: Vec<_> = (0..40)
            .map(|number| {
                let state = if number < 20 {
                    "completed"
                } else if number == 20 {
                    "running"
                } else {
                    "pending"
                };
                let before = format!("n{}", number - 1);
                let after: &[&str] = if number == 0 { &[] } else { &[&before] };
                node(&format!("n{number}"), state, after)
            })
            .collect();
        let lines = view(5, 80).lines(&nodes);
        let expected = ["── ✓ n17", "── ✓ n18", "── ✓ n19", "── ● n20", "   … and 36 more: 17 completed, 19 pending"];
        assert_eq!(lines, expected);
        assert_eq!(view(40, 80).lines(&nodes).len(), 40);
    }
}
