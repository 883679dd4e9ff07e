//! URLs that let somebody without credentials read or write one object for a while.

use super::key::percent_encode;

/// Where to get or put an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// An object's key and a signed query, to be put after the address of this platform's own objects.
    Local(String),
    /// A whole URL of an object store.
    Absolute(String),
}

/// How whoever follows a link to read is shown the object: as a file to keep, never as a page.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    /// The file's path as the task or user named it; the last part is the name that is offered.
    pub name: &'a str,
    pub content_type: &'a str,
}

impl Download<'_> {
    /// A `Content-Disposition` that makes a browser save the file.
    pub(super) fn disposition(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or(self.name);
        format!("attachment; filename*=UTF-8''{}", percent_encode(name))
    }

    /// The media type, unless a browser would run it.
    pub(super) fn safe_content_type(&self) -> &str {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let active = ["html", "xml", "svg", "script", "multipart"].iter().any(|word| essence.contains(word));
        let plain = !self.content_type.is_empty() && self.content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if active && !essence.starts_with("application/vnd.openxmlformats") || !plain {
            "application/octet-stream"
        } else {
            self.content_type
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_a_file_and_never_a_page() {
        let rows = [
            ("out/été 1.csv", "text/csv; charset=utf-8", "%C3%A9t%C3%A9%201.csv", "text/csv; charset=utf-8"),
            ("a\"\r\nb", "text/html", "a%22%0D%0Ab", "application/octet-stream"),
            ("x", "Image/SVG+XML", "x", "application/octet-stream"),
            ("x", "text/xml; charset=utf-8", "x", "application/octet-stream"),
            ("x", "text/plain\r\nX: y", "x", "application/octet-stream"),
            ("x", "", "x", "application/octet-stream"),
            (
                "x.xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "x.xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ),
        ];
        for (name, content_type, encoded, safe) in rows {
            let download = Download { name, content_type };
            assert_eq!(download.disposition(), format!("attachment; filename*=UTF-8''{encoded}"));
            assert_eq!(download.safe_content_type(), safe, "{content_type:?}");
        }
    }
}
