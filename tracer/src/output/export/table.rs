//! The Parquet file.

use std::{
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};

use super::{
    Row,
    columns::{COLUMNS, Column, Kind},
    rows::{Filled, Rows, Values},
};

/// Rows of a group: what readers take in one piece and share among threads.
const GROUP_ROWS: u32 = 122_880;
/// Bytes after which a group is written before it is full.
const GROUP_BYTES: usize = 64 << 20;

/// A Parquet file of one table being written.
pub(super) struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Rows,
    /// Which rows have a value of the column at hand: 1, or 0; kept for its allocation.
    levels: Vec<i16>,
    group_rows: u32,
}

impl<W: Write + Send> Table<W> {
    /// Begins the file.
    pub(super) fn new(writer: W) -> io::Result<Self> {
        Self::with_groups_of(GROUP_ROWS, writer)
    }

    /// Begins the file; a group has at most that many rows.
    pub(super) fn with_groups_of(group_rows: u32, writer: W) -> io::Result<Self> {
        let fields = COLUMNS.iter().map(|column| field(column).map(Arc::new));
        let fields = fields.collect::<Result<_, _>>().map_err(io_error)?;
        let schema = Type::group_type_builder("event").with_fields(fields).build().map_err(io_error)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let properties = WriterProperties::builder()
            .set_created_by(format!("tracer version {version}"))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![KeyValue::new("tracer.version".to_owned(), version)]))
            .build();
        let writer = SerializedFileWriter::new(writer, Arc::new(schema), Arc::new(properties));
        let writer = writer.map_err(io_error)?;
        Ok(Self { writer, rows: Rows::new(), levels: Vec::new(), group_rows })
    }

    /// Adds a row, and writes a group when it is full.
    pub(super) fn add(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.rows.add(row)?;
        if self.rows.count() >= self.group_rows || self.rows.bytes() >= GROUP_BYTES {
            self.write_group().map_err(io_error)?;
        }
        Ok(())
    }

    /// Writes the rest and what closes the file.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.rows.count() > 0 {
            self.write_group().map_err(io_error)?;
        }
        self.writer.into_inner().map_err(io_error)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let mut columns = COLUMNS.iter().zip(self.rows.columns());
        while let Some(mut writer) = group.next_column()? {
            let Some((column, filled)) = columns.next() else { break };
            self.levels.clear();
            self.levels.resize(usize::try_from(self.rows.count())?, 0);
            for &row in &filled.rows {
                self.levels[usize::try_from(row)?] = 1;
            }
            let levels = (!column.kind.is_required()).then_some(&self.levels[..]);
            write_column(&mut writer, filled, levels)?;
            writer.close()?;
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    filled: &Filled,
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    match &filled.values {
        Values::Integers(values) => writer.typed::<Int64Type>().write_batch(values, levels, None),
        Values::Numbers(values) => writer.typed::<DoubleType>().write_batch(values, levels, None),
        Values::Truths(values) => writer.typed::<BoolType>().write_batch(values, levels, None),
        Values::Texts { bytes, ends } => {
            let bytes = Bytes::copy_from_slice(bytes);
            let begins = std::iter::once(0).chain(ends.iter().copied());
            let texts: Vec<ByteArray> =
                begins.zip(ends).map(|(begin, &end)| ByteArray::from(bytes.slice(begin..end))).collect();
            writer.typed::<ByteArrayType>().write_batch(&texts, levels, None)
        }
    }
    .map(drop)
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        Kind::Time => {
            let logical = LogicalType::timestamp(true, TimeUnit::NANOS);
            (PhysicalType::INT64, Some(logical))
        }
        Kind::Name | Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
        Kind::Integer => (PhysicalType::INT64, None),
        Kind::Number => (PhysicalType::DOUBLE, None),
        Kind::Truth => (PhysicalType::BOOLEAN, None),
    };
    let repetition = if column.kind.is_required() { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    Type::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
}

/// The writer's own error if it is one: the caller looks for a broken pipe.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}
