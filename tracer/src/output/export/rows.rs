//! Rows collected for one group of the table, column by column.

use std::{fmt, io};

use rustc_hash::FxHashMap;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Row,
    columns::{COLUMNS, Kind, name_of, remainder_of},
};

/// What a column has of the rows collected.
#[derive(Debug)]
pub(super) struct Filled {
    /// The rows that have a value, by their number within the group.
    pub(super) rows: Vec<u32>,
    /// Their values.
    pub(super) values: Values,
}

/// Values of one kind.
#[derive(Debug)]
pub(super) enum Values {
    /// Text, one behind the other; `ends` tells where each ends.
    Texts { bytes: Vec<u8>, ends: Vec<usize> },
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers.
    Numbers(Vec<f64>),
    /// True or false.
    Truths(Vec<bool>),
}

impl Values {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Name | Kind::Text | Kind::Json => Self::Texts { bytes: Vec::new(), ends: Vec::new() },
            Kind::Time | Kind::Integer => Self::Integers(Vec::new()),
            Kind::Number => Self::Numbers(Vec::new()),
            Kind::Truth => Self::Truths(Vec::new()),
        }
    }

    fn push_text(&mut self, text: &str) -> bool {
        let Self::Texts { bytes, ends } = self else { return false };
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len());
        true
    }

    /// Takes in a value as JSON writes it; false if it is of another kind.
    fn push(&mut self, kind: Kind, json: &str) -> bool {
        match self {
            Self::Texts { .. } if kind == Kind::Json => self.push_text(json),
            Self::Texts { .. } => {
                let Some(text) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
                    return false;
                };
                if text.contains('\\') {
                    serde_json::from_str::<String>(json).is_ok_and(|text| self.push_text(&text))
                } else {
                    self.push_text(text)
                }
            }
            Self::Integers(values) => json.parse().map(|value| values.push(value)).is_ok(),
            Self::Numbers(values) => json.parse().map(|value| values.push(value)).is_ok(),
            Self::Truths(values) => json.parse().map(|value| values.push(value)).is_ok(),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Texts { bytes, ends } => {
                bytes.clear();
                ends.clear();
            }
            Self::Integers(values) => values.clear(),
            Self::Numbers(values) => values.clear(),
            Self::Truths(values) => values.clear(),
        }
    }
}

/// The rows of a group that is not written yet.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Filled>,
    by_name: FxHashMap<&'static str, usize>,
    count: u32,
    bytes: usize,
    /// Fields of the row at hand that have no column, as the inside of a JSON object; kept for its allocation.
    remainder: String,
}

impl Rows {
    pub(super) fn new() -> Self {
        let empty = |kind| Filled { rows: Vec::new(), values: Values::of(kind) };
        Self {
            columns: COLUMNS.iter().map(|column| empty(column.kind)).collect(),
            by_name: COLUMNS.iter().enumerate().map(|(place, column)| (column.name, place)).collect(),
            count: 0,
            bytes: 0,
            remainder: String::new(),
        }
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// About how many bytes their values take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The columns, as [`COLUMNS`] has them.
    pub(super) fn columns(&self) -> &[Filled] {
        &self.columns
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        for column in &mut self.columns {
            column.rows.clear();
            column.values.clear();
        }
        (self.count, self.bytes) = (0, 0);
    }

    /// Adds a row. Fails if what it has of JSON is no object.
    pub(super) fn add(&mut self, row: &Row<'_>) -> io::Result<()> {
        let of = row.type_name();
        each_field(row.json, |field, value| match field {
            // The text says the same, but would have to be read.
            "time" => self.add_field(of, field, &row.time.wall_ns.to_string()),
            _ => self.add_field(of, field, value),
        })?;
        if !self.remainder.is_empty() {
            let object = format!("{{{}}}", self.remainder);
            self.remainder.clear();
            self.put(remainder_of(of), &object);
        }
        self.count += 1;
        Ok(())
    }

    fn add_field(&mut self, of: &str, field: &str, value: &str) -> io::Result<()> {
        if self.put(&name_of(of, field), value) {
            return Ok(());
        }
        if !value.starts_with('{') || of == "stats" {
            self.leave(field, value);
            return Ok(());
        }
        each_field(value, |inner, value| {
            let joined = format!("{field}_{inner}");
            if !self.put(&name_of(of, &joined), value) {
                self.leave(&joined, value);
            }
            Ok(())
        })
    }

    /// Puts a value into a column; false if there is none of that name, or it holds another kind of value.
    fn put(&mut self, name: &str, json: &str) -> bool {
        let Some(&place) = self.by_name.get(name) else { return false };
        let column = &mut self.columns[place];
        let put = column.values.push(COLUMNS[place].kind, json);
        if put {
            column.rows.push(self.count);
            self.bytes += json.len() + size_of::<u32>() + size_of::<usize>();
        }
        put
    }

    fn leave(&mut self, field: &str, json: &str) {
        let comma = if self.remainder.is_empty() { "" } else { "," };
        self.remainder.push_str(comma);
        self.remainder.push('"');
        self.remainder.push_str(field);
        self.remainder.push_str("\":");
        self.remainder.push_str(json);
    }
}

/// Calls `found` with every field of a JSON object and its value as it is written. Fails if it is no object, if a name
/// has escapes in it, which no field of ours has, and where `found` fails.
pub(super) fn each_field<'a>(
    object: &'a str,
    found: impl FnMut(&'a str, &'a str) -> io::Result<()>,
) -> io::Result<()> {
    struct Fields<F>(F);

    impl<'de, F: FnMut(&'de str, &'de str) -> io::Result<()>> Visitor<'de> for Fields<F> {
        type Value = io::Result<()>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<io::Result<()>, A::Error> {
            while let Some((field, value)) = map.next_entry::<&'de str, &'de RawValue>()? {
                if let Err(error) = (self.0)(field, value.get()) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        }
    }

    serde_json::Deserializer::from_str(object).deserialize_map(Fields(found)).map_err(io::Error::from)?
}
