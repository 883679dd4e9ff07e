//! A table on its way into bytes.

use super::arrow::Binary;
use super::columns::Columns;
use super::csv;
use std::str::FromStr;

/// What a table is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, its parts as they are.
    Ndjson,
    Csv,
    Parquet,
    /// Arrow's IPC streaming format.
    Arrow,
}

/// Why a table can't be written. What it is made of was valid, so this is ours.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    #[error("the columns don't make a table")]
    Arrow(#[from] arrow_schema::ArrowError),
    #[error("the Parquet file can't be written")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// A table that is being written, row by row.
pub struct Sheet {
    columns: Columns,
    target: Target,
}

enum Target {
    Ndjson(Vec<u8>),
    Csv(Vec<u8>),
    Binary(Binary),
}

impl Format {
    pub const ALL: [Format; 4] = [Format::Ndjson, Format::Csv, Format::Parquet, Format::Arrow];

    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// What a file of it is called at the end, after the point.
    pub const fn extension(self) -> &'static str {
        match self {
            Format::Arrow => "arrows",
            other => other.as_str(),
        }
    }

    /// Whether [`Columns`] have to see every row before the first one is written.
    pub const fn needs_columns(self) -> bool {
        !matches!(self, Format::Ndjson)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Format::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("unknown format {text:?}: use json, ndjson, csv, parquet or arrow"))
    }
}

impl Sheet {
    /// A table with these columns; its head is among the first bytes.
    ///
    /// # Errors
    /// The format can't have them.
    pub fn new(format: Format, columns: Columns) -> Result<Self, SheetError> {
        let columns = columns.ordered();
        let target = match format {
            Format::Ndjson => Target::Ndjson(Vec::new()),
            Format::Csv => {
                let mut out = Vec::new();
                csv::write_head(columns.columns().iter().map(|column| &*column.name), &mut out);
                Target::Csv(out)
            }
            Format::Parquet => Target::Binary(Binary::parquet(&columns)?),
            Format::Arrow => Target::Binary(Binary::ipc(&columns)?),
        };
        Ok(Self { columns, target })
    }

    /// Writes a row: the JSON text of each part. It has no line break of its own.
    ///
    /// # Errors
    /// As [`Sheet::new`].
    pub fn row(&mut self, row: &[&str]) -> Result<(), SheetError> {
        match &mut self.target {
            Target::Ndjson(out) => {
                for (place, (part, text)) in self.columns.parts().iter().zip(row).enumerate() {
                    out.extend_from_slice(if place == 0 { b"{\"" } else { b",\"" });
                    out.extend_from_slice(part.name().as_bytes());
                    out.extend_from_slice(b"\":");
                    // Line breaks stand between the values of a JSON text alone, where a space does as well.
                    out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
                }
                out.extend_from_slice(b"}\n");
                Ok(())
            }
            Target::Csv(out) => {
                csv::write_line(self.columns.cells(row).iter(), out);
                Ok(())
            }
            Target::Binary(binary) => binary.row(&self.columns.cells(row)),
        }
    }

    /// Takes the bytes that are ready.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.target {
            Target::Ndjson(out) | Target::Csv(out) => std::mem::take(out),
            Target::Binary(binary) => binary.take(),
        }
    }

    /// The last bytes.
    ///
    /// # Errors
    /// As [`Sheet::new`].
    pub fn finish(self) -> Result<Vec<u8>, SheetError> {
        match self.target {
            Target::Ndjson(out) | Target::Csv(out) => Ok(out),
            Target::Binary(binary) => binary.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Kind, Part};
    use super::*;
    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use std::io::Write as _;

    const PARTS: [Part; 3] =
        [Part::Fixed("index", &[("", Kind::Integer)]), Part::Found("inputs"), Part::Found("result")];

    /// 10 000 rows, more than one group of them: enough to be taken in pieces.
    fn rows() -> Vec<[String; 3]> {
        let result =
            |n: u32| if n.is_multiple_of(7) { "null".to_owned() } else { format!("{{\"s\":{}.5,\n\"ok\":true}}", n) };
        (0..10_000).map(|n| [n.to_string(), format!("{{\"d\":{n},\"name\":\"=b{n}\"}}"), result(n)]).collect()
    }

    fn written(format: Format) -> Vec<u8> {
        let rows = rows();
        let mut columns = Columns::new(&PARTS);
        for row in &rows {
            columns.see(&row.each_ref().map(String::as_str)).unwrap();
        }
        let mut sheet = Sheet::new(format, columns).unwrap();
        let mut bytes = Vec::new();
        for row in &rows {
            sheet.row(&row.each_ref().map(String::as_str)).unwrap();
            bytes.extend(sheet.take());
        }
        bytes.extend(sheet.finish().unwrap());
        bytes
    }

    fn check(batches: &[RecordBatch]) {
        let schema = batches[0].schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["index", "inputs.d", "inputs.name", "result.s", "result.ok"]);
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
        let mut index = 0;
        for batch in batches {
            let (d, s) = (batch.column(1).as_primitive::<Int64Type>(), batch.column(3).as_primitive::<Float64Type>());
            let (names, ok) = (batch.column(2).as_string::<i32>(), batch.column(4).as_boolean());
            for place in 0..batch.num_rows() {
                let missing = index % 7 == 0;
                let s = (!arrow_array::Array::is_null(s, place)).then(|| s.value(place));
                assert_eq!(s, (!missing).then_some(index as f64 + 0.5));
                assert_eq!((d.value(place), names.value(place)), (index, &*format!("=b{index}")));
                assert_eq!(arrow_array::Array::is_null(ok, place), missing);
                index += 1;
            }
        }
    }

    #[test]
    fn a_parquet_file_is_read_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&written(Format::Parquet)).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        check(&batches);
    }

    #[test]
    fn an_arrow_stream_is_read_back() {
        let bytes = written(Format::Arrow);
        let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        check(&batches);
    }

    #[test]
    fn csv_and_ndjson_have_a_line_for_each_row() {
        let csv = String::from_utf8(written(Format::Csv)).unwrap();
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 10_002);
        let expected = ["index,inputs.d,inputs.name,result.s,result.ok", "0,0,'=b0,,", "1,1,'=b1,1.5,true"];
        assert_eq!(lines[..3], expected);
        let ndjson = String::from_utf8(written(Format::Ndjson)).unwrap();
        let lines: Vec<_> = ndjson.lines().collect();
        assert_eq!(lines.len(), 10_000);
        assert_eq!(lines[1], r#"{"index":1,"inputs":{"d":1,"name":"=b1"},"result":{"s":1.5, "ok":true}}"#);
    }

    #[test]
    fn a_table_without_rows_has_its_head() {
        for format in Format::ALL {
            let mut sheet = Sheet::new(format, Columns::new(&PARTS)).unwrap();
            let mut bytes = sheet.take();
            bytes.extend(sheet.finish().unwrap());
            assert_eq!(bytes.is_empty(), format == Format::Ndjson, "{format:?}");
        }
    }
}
