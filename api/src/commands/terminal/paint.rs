//! Colours, where they are wanted.

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
}

/// Whether a stream takes colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Painter {
    Colours,
    Plain,
}

impl Painter {
    /// The text in this style; `text` must have been neutralised where it comes from elsewhere.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "1;31",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Blue => "34",
        };
        match self {
            Painter::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Painter::Plain => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escape() {
        assert_eq!(Painter::Plain.paint(Style::Red, "error"), "error");
        assert_eq!(Painter::Colours.paint(Style::Red, "error"), "\x1b[1;31merror\x1b[0m");
    }
}
