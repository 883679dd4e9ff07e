//! Records of the `.frd` file, column by column.

use super::token;

/// Columns of a value.
const VALUE_WIDTH: usize = 12;

/// `  100CL  101 1.000000000         321                     0    1           1`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BlockHead {
    /// As printed.
    pub(super) value: String,
    /// 0 static, 1 in time, 2 frequency, 3 load step, 4 named by the program (buckling).
    pub(super) kind: u64,
    pub(super) number: u64,
    /// 0 short, 1 long, 2 and 3 binary.
    pub(super) format: u64,
}

impl BlockHead {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("  100C")?;
        let whole = |from: usize, to: usize| text.get(from..to).and_then(|field| field.trim().parse().ok());
        let format = text.get(67..).and_then(|field| field.split_whitespace().next()?.parse().ok()).unwrap_or(1);
        Some(BlockHead {
            value: text.get(6..18)?.trim().to_owned(),
            kind: whole(50, 52).unwrap_or_default(),
            number: whole(52, 57).unwrap_or_default(),
            format,
        })
    }
}

/// ` -5  ALL         1    2    0    0    1ALL`: a component, and whether its values are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) stored: bool,
}

impl Component {
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.get(5..13)?;
        Some(Component { stored: text.get(33..38).is_none_or(|exists| exists.trim() != "1") })
    }
}

/// The number after ` -1`.
pub(super) fn record_node(text: &str, width: usize) -> Option<u64> {
    text.get(3..3 + width)?.trim().parse().ok()
}

/// Values from a column on; not a number for those that are missing.
pub(super) fn columns<const COUNT: usize>(text: &str, start: usize) -> [f64; COUNT] {
    std::array::from_fn(|at| {
        let from = start + at * VALUE_WIDTH;
        let field = text.get(from..(from + VALUE_WIDTH).min(text.len())).unwrap_or_default();
        token::value(field)
    })
}
