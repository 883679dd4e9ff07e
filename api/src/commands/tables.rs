//! Tables and pictures of batches and studies, written to files or to stdout.

use super::{
    refusal::Misuse,
    terminal::{Style, Terminal, bytes, neutralise_line},
};
use crate::client::{Axes, Client, Of};
use anyhow::{Context, Result};
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFormat {
    Csv,
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
    /// A line of JSON for each row.
    Ndjson,
    /// An array of the same.
    Json,
}

impl TableFormat {
    const ALL: [(&'static str, TableFormat); 5] = [
        ("csv", TableFormat::Csv),
        ("parquet", TableFormat::Parquet),
        ("arrow", TableFormat::Arrow),
        ("ndjson", TableFormat::Ndjson),
        ("json", TableFormat::Json),
    ];

    /// By the end of a file's name.
    pub(crate) fn of_path(path: &Path) -> Result<Self, Misuse> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let found = extension.to_ascii_lowercase().parse();
        found.map_err(|_| {
            let shown = path.display();
            Misuse::new(format!("{shown}: the name must end with .csv, .parquet, .arrow, .ndjson or .json"))
        })
    }

    /// As it was asked for, else as the file is called, else CSV.
    pub(crate) fn asked_for(format: Option<Self>, out: Option<&Path>) -> Result<Self, Misuse> {
        match (format, out) {
            (Some(format), _) => Ok(format),
            (None, Some(path)) => Self::of_path(path),
            (None, None) => Ok(TableFormat::Csv),
        }
    }

    /// What the server is asked for: it gives whole JSON only line by line.
    fn asked(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
            TableFormat::Ndjson | TableFormat::Json => "ndjson",
        }
    }

    fn is_text(self) -> bool {
        !matches!(self, TableFormat::Parquet | TableFormat::Arrow)
    }
}

impl FromStr for TableFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        Ok(found.ok_or("use csv, parquet, arrow, ndjson or json")?.1)
    }
}

/// `x,y` or `x,y,group`, and the file that a picture goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlotFile {
    pub axes: Axes,
    pub path: PathBuf,
    /// `png` or `svg`.
    format: &'static str,
}

impl PlotFile {
    pub(crate) fn new(axes: Axes, path: &Path) -> Result<Self, Misuse> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = match extension.to_ascii_lowercase().as_str() {
            "png" => "png",
            "svg" => "svg",
            _ => return Err(Misuse::new(format!("{}: the name must end with .png or .svg", path.display()))),
        };
        Ok(Self { axes, path: path.to_owned(), format })
    }

    /// From the two values of `--plot`.
    pub(crate) fn of_flag(values: &[String]) -> Result<Self, Misuse> {
        let wrong = || Misuse::new("--plot has the columns and a file: --plot F,stress,d stress.png");
        let [columns, path] = values else { return Err(wrong()) };
        let mut columns = columns.split(',').map(|column| column.trim().to_owned());
        let (Some(x), Some(y), group, None) = (columns.next(), columns.next(), columns.next(), columns.next()) else {
            return Err(wrong());
        };
        if [Some(&x), Some(&y), group.as_ref()].into_iter().flatten().any(String::is_empty) {
            return Err(wrong());
        }
        Self::new(Axes { x, y, group }, Path::new(path))
    }

    /// With columns that were named by their last part alone, for a batch with these inputs.
    pub(crate) fn named(&self, inputs: &[String]) -> Self {
        Self { axes: self.axes.clone().named(inputs), ..self.clone() }
    }

    /// Has the picture made, and writes it.
    pub(crate) async fn save(&self, client: &Client, of: Of, terminal: &Terminal) -> Result<()> {
        let bar = terminal.spinner();
        bar.set_message("drawing");
        let picture = client.plot(of, &self.axes, self.format).await;
        bar.finish_and_clear();
        let picture = picture?;
        let mut file = WholeFile::create(&self.path)?;
        file.write_all(&picture).with_context(|| unwritable(&self.path))?;
        file.finish(terminal)
    }
}

/// Fetches a table into a file, or to stdout. `only` picks rows: `failed` of a batch.
pub(crate) async fn save_table(
    client: &Client,
    of: Of,
    (format, only): (TableFormat, Option<&str>),
    to: Option<&Path>,
    terminal: &Terminal,
) -> Result<()> {
    let mut file = match to {
        Some(path) => Some(WholeFile::create(path)?),
        None if !format.is_text() && io::stdout().is_terminal() => {
            return Err(Misuse::new("this format is not for reading: name a file with --out, or redirect it").into());
        }
        None => None,
    };
    let bar = terminal.spinner();
    let mut array = (format == TableFormat::Json).then(JsonArray::default);
    let mut total = 0_u64;
    let mut put = |chunk: &[u8]| -> io::Result<()> {
        total += chunk.len() as u64;
        bar.set_message(format!("fetching the table, {}", bytes(total)));
        match &mut file {
            Some(file) => file.write_all(chunk),
            None => io::stdout().lock().write_all(chunk),
        }
    };
    let fetched = client.table(of, (format.asked(), only), |chunk| match &mut array {
        Some(array) => put(&array.chunk(chunk)),
        None => put(chunk),
    });
    let fetched = fetched.await;
    let ended = fetched.map_err(anyhow::Error::from).and_then(|()| match &mut array {
        Some(array) => Ok(put(&array.end())?),
        None => Ok(()),
    });
    bar.finish_and_clear();
    ended?;
    file.map_or(Ok(()), |file| file.finish(terminal))
}

/// Makes one array of lines of JSON, wherever they are cut.
#[derive(Debug, Default)]
struct JsonArray {
    is_open: bool,
    /// A line has ended, and another may follow.
    is_between: bool,
}

impl JsonArray {
    fn chunk(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 2);
        for byte in bytes {
            if *byte == b'\n' {
                self.is_between = true;
                continue;
            }
            if !std::mem::replace(&mut self.is_open, true) {
                out.push(b'[');
            }
            if std::mem::take(&mut self.is_between) {
                out.extend_from_slice(b",\n");
            }
            out.push(*byte);
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        if self.is_open { b"]\n".to_vec() } else { b"[]\n".to_vec() }
    }
}

/// A file that appears once all of it is there.
struct WholeFile {
    file: Option<io::BufWriter<fs::File>>,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl WholeFile {
    fn create(path: &Path) -> Result<Self, Misuse> {
        let name = path.file_name().ok_or_else(|| Misuse::new(format!("{} names no file", path.display())))?;
        let part = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = fs::File::create(&part).map_err(|error| Misuse::new(format!("{}: {error}", unwritable(path))))?;
        Ok(Self { file: Some(io::BufWriter::new(file)), part, path: path.to_owned(), bytes: 0 })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    fn place(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.into_inner().map_err(io::IntoInnerError::into_error)?;
        }
        fs::rename(&self.part, &self.path)
    }

    fn finish(mut self, terminal: &Terminal) -> Result<()> {
        self.place().with_context(|| unwritable(&self.path))?;
        let shown = neutralise_line(&self.path.display().to_string());
        let word = terminal.err.paint(Style::Green, "wrote");
        terminal.note(&format!("{word} {shown} ({})", bytes(self.bytes)));
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // Of one that was finished there is nothing left under this name.
        let _ = fs::remove_file(&self.part);
    }
}

fn unwritable(path: &Path) -> String {
    format!("can't write {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::terminal::Format;

    #[test]
    fn lines_become_one_array_wherever_they_are_cut() {
        for (lines, expected) in
            [("{\"a\":1}\n{\"a\":2}\n", "[{\"a\":1},\n{\"a\":2}]\n"), ("{}", "[{}]\n"), ("", "[]\n")]
        {
            for size in 1..4 {
                let mut array = JsonArray::default();
                let mut out: Vec<u8> = lines.as_bytes().chunks(size).flat_map(|chunk| array.chunk(chunk)).collect();
                out.extend(array.end());
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_picture_has_columns_and_a_file() {
        let of = |columns: &str, path: &str| PlotFile::of_flag(&[columns.to_owned(), path.to_owned()]);
        let plot = of("F, stress,d", "a.SVG").unwrap();
        let axes = Axes { x: "F".to_owned(), y: "stress".to_owned(), group: Some("d".to_owned()) };
        assert_eq!((plot.axes, plot.format), (axes, "svg"));
        assert_eq!(of("x,y", "a.png").unwrap().axes.group, None);
        for (columns, path) in [("x", "a.png"), ("x,", "a.png"), ("x,y,g,h", "a.png"), ("x,y", "a.pdf"), ("x,y", "")] {
            assert!(of(columns, path).is_err(), "{columns} {path}");
        }
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let mut broken = WholeFile::create(&path).unwrap();
        broken.write_all(b"a,b\n").unwrap();
        drop(broken);
        assert_eq!(names(), 0);
        let mut whole = WholeFile::create(&path).unwrap();
        whole.write_all(b"a,b\n").unwrap();
        whole.finish(&Terminal::new(Format::Json)).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("a,b\n", 1));
        assert!(WholeFile::create(&folder.path().join("none/table.csv")).is_err());
        assert!(TableFormat::of_path(Path::new("a.xlsx")).is_err());
        assert_eq!(TableFormat::of_path(Path::new("a.Parquet")).unwrap(), TableFormat::Parquet);
    }
}
