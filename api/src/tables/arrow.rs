//! Typed columns: Parquet files and Arrow streams.

use super::columns::{Columns, Kind};
use super::flatten::Cell;
use super::sheet::SheetError;
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder},
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use std::sync::Arc;

/// Rows that are kept before they are written together.
const ROWS_TOGETHER_MAX: usize = 4_096;
/// Bytes of texts that are kept before they are written together with their rows.
const TEXT_BYTES_TOGETHER_MAX: usize = 8 << 20;
/// Rows of a group of a Parquet file, which is in memory as a whole.
const GROUP_ROWS: usize = 16_384;
/// Bytes of one.
const GROUP_BYTES: usize = 32 << 20;

pub(super) struct Binary {
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
    writer: Writer,
}

enum Writer {
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Ipc(Box<StreamWriter<Vec<u8>>>),
}

enum Builder {
    Bool(BooleanBuilder),
    Integer(Int64Builder),
    Double(Float64Builder),
    Text(StringBuilder),
}

impl Binary {
    pub(super) fn parquet(columns: &Columns) -> Result<Self, SheetError> {
        let properties = WriterProperties::builder()
            .set_created_by("mecapy".to_owned())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let schema = schema(columns);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        Ok(Self::new(schema, Writer::Parquet(Box::new(writer))))
    }

    pub(super) fn ipc(columns: &Columns) -> Result<Self, SheetError> {
        let schema = schema(columns);
        let writer = StreamWriter::try_new(Vec::new(), &schema)?;
        Ok(Self::new(schema, Writer::Ipc(Box::new(writer))))
    }

    fn new(schema: Arc<Schema>, writer: Writer) -> Self {
        let builders = schema.fields().iter().map(|field| Builder::of(field.data_type())).collect();
        Self { schema, builders, rows: 0, text_bytes: 0, writer }
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), SheetError> {
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            self.text_bytes += builder.push(cell);
        }
        self.rows += 1;
        if self.rows >= ROWS_TOGETHER_MAX || self.text_bytes >= TEXT_BYTES_TOGETHER_MAX { self.write() } else { Ok(()) }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        // Both writers count what they wrote by themselves, and never look back.
        match &mut self.writer {
            Writer::Parquet(writer) => std::mem::take(writer.inner_mut()),
            Writer::Ipc(writer) => std::mem::take(writer.get_mut()),
        }
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, SheetError> {
        if self.rows > 0 {
            self.write()?;
        }
        match self.writer {
            Writer::Parquet(writer) => Ok(writer.into_inner()?),
            Writer::Ipc(mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    fn write(&mut self) -> Result<(), SheetError> {
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        (self.rows, self.text_bytes) = (0, 0);
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write(&batch)?,
            Writer::Ipc(writer) => writer.write(&batch)?,
        }
        Ok(())
    }
}

impl Builder {
    fn of(ty: &DataType) -> Self {
        match ty {
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Int64 => Builder::Integer(Int64Builder::new()),
            DataType::Float64 => Builder::Double(Float64Builder::new()),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    /// Appends a cell; answers how many bytes of text it has. What isn't of the column's type is null.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        match self {
            Builder::Bool(builder) => builder.append_option(match cell {
                Cell::Bool(value) => Some(*value),
                _ => None,
            }),
            Builder::Integer(builder) => builder.append_option(match cell {
                Cell::Number(text) => text.parse().ok(),
                _ => None,
            }),
            Builder::Double(builder) => builder.append_option(cell.double()),
            Builder::Text(builder) => {
                let text = cell.shown();
                builder.append_option(text);
                return text.map_or(0, str::len);
            }
        }
        0
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Bool(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Double(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

fn schema(columns: &Columns) -> Arc<Schema> {
    let fields: Vec<_> = columns
        .columns()
        .iter()
        .map(|column| {
            let ty = match column.kind {
                Some(Kind::Bool) => DataType::Boolean,
                Some(Kind::Integer) => DataType::Int64,
                Some(Kind::Double) => DataType::Float64,
                Some(Kind::Text) | None => DataType::Utf8,
            };
            Field::new(&*column.name, ty, true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}
