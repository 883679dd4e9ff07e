//! Names as serde's `rename_all` writes them.

use syn::{LitStr, Result};

/// One of serde's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    pub(crate) fn parse(rule: &LitStr) -> Result<Self> {
        Ok(match rule.value().as_str() {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return Err(syn::Error::new_spanned(rule, "serde has no such rule")),
        })
    }

    /// A field's (`head_angle`) or a variant's (`HeadAngle`) name under this rule.
    pub(crate) fn apply(self, name: &str) -> String {
        let snake = snake(name);
        match self {
            // As serde does: a field keeps its underscores.
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Snake => snake,
            Self::ScreamingSnake => snake.to_uppercase(),
            Self::Kebab => snake.replace('_', "-"),
            Self::ScreamingKebab => snake.to_uppercase().replace('_', "-"),
            Self::Pascal => snake.split('_').map(capitalised).collect(),
            Self::Camel => {
                let mut words = snake.split('_');
                let first = words.next().unwrap_or_default().to_owned();
                words.fold(first, |all, word| all + &capitalised(word))
            }
        }
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn names_follow_serdes_rules() {
        let rows = [
            ("lowercase", "headangle", "head_angle"),
            ("UPPERCASE", "HEADANGLE", "HEAD_ANGLE"),
            ("PascalCase", "HeadAngle", "HeadAngle"),
            ("camelCase", "headAngle", "headAngle"),
            ("snake_case", "head_angle", "head_angle"),
            ("SCREAMING_SNAKE_CASE", "HEAD_ANGLE", "HEAD_ANGLE"),
            ("kebab-case", "head-angle", "head-angle"),
            ("SCREAMING-KEBAB-CASE", "HEAD-ANGLE", "HEAD-ANGLE"),
        ];
        for (rule, variant, field) in rows {
            let case = Case::parse(&LitStr::new(rule, Span::call_site())).unwrap();
            assert_eq!((case.apply("HeadAngle"), case.apply("head_angle")), (variant.to_owned(), field.to_owned()));
        }
        assert!(Case::parse(&LitStr::new("Title Case", Span::call_site())).is_err());
    }
}
