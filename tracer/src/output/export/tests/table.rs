//! The Parquet file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use bytes::Bytes;
use parquet::{
    file::{
        metadata::RowGroupMetaData,
        reader::{FileReader as _, SerializedFileReader},
    },
    record::{Field, Row as Read},
};
use serde_json::{Map, Value, json};
use tracer_common::{hook::HookId, record::RecordKind};

use super::{exported, finding, json_lines, parsed, sample, told};
use crate::{
    event::{Body, ChainEntries, Event, RepeatedRule, RulesetExactness, Text, Timestamp},
    output::export::{
        ExportFormat, Row,
        columns::{COLUMNS, Kind, name_of},
        table::Table,
    },
    output::tests::nodes,
    state::fixture,
};

/// The rows of a table: what each holds, by column.
pub(super) fn rows(file: Vec<u8>) -> Vec<BTreeMap<String, Field>> {
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let present = |row: Read| {
        let fields = row.into_columns().into_iter();
        fields.filter(|(_, field)| !matches!(field, Field::Null)).collect()
    };
    reader.get_row_iter(None).unwrap().map(|row| present(row.unwrap())).collect()
}

/// A field as JSON has it; lists and objects read from their text.
fn as_json(name: &str, field: &Field) -> Value {
    let kind = COLUMNS.iter().find(|column| column.name == name).unwrap().kind;
    match field {
        Field::Str(text) if kind == Kind::Json => parsed(text),
        Field::Bytes(bytes) if kind == Kind::Json => serde_json::from_slice(bytes.data()).unwrap(),
        Field::Str(text) => json!(text),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Bool(truth) => json!(truth),
        other => panic!("{name}: {other:?}"),
    }
}

/// What a row should hold, from its object: columns by their names.
fn expected(line: &str) -> BTreeMap<String, Value> {
    let Value::Object(object) = parsed(line) else { panic!("{line}") };
    let of = object["type"].as_str().unwrap().to_owned();
    let has_column = |name: &str| COLUMNS.iter().any(|column| column.name == name);
    let mut columns = BTreeMap::new();
    let mut accounting = Map::new();
    for (field, value) in object {
        let name = name_of(&of, &field).into_owned();
        match value {
            _ if field == "time" => {}
            value if has_column(&name) => drop(columns.insert(name, value)),
            value if of == "stats" => drop(accounting.insert(field, value)),
            Value::Object(inner) => {
                for (part, value) in inner {
                    columns.insert(name_of(&of, &format!("{field}_{part}")).into_owned(), value);
                }
            }
            value => drop(columns.insert(name, value)),
        }
    }
    if !accounting.is_empty() {
        columns.insert("accounting".to_owned(), Value::Object(accounting));
    }
    columns
}

/// Bodies that no sample has records of.
fn more() -> Vec<Event> {
    let mut ruleset = fixture::ruleset("filter");
    ruleset.entries = 200_000;
    ruleset.previous = Some(5);
    ruleset.examined = 20_000;
    ruleset.duplicates = 19_000;
    ruleset.largest = vec![ChainEntries { chain: Text::new("leaked"), entries: 199_995 }];
    ruleset.repeated = Some(RepeatedRule { rule: Text::new("-A leaked -j ACCEPT"), count: 19_001 });
    ruleset.changed_ms_ago = Some(1_500);
    ruleset.exactness = RulesetExactness::AtMost;
    let refused = fixture::hook_status(HookId::IpvsSchedule, None, "module ip_vs is not loaded");
    [Body::Ruleset(ruleset), refused].map(|body| fixture::event(21_000, body)).into()
}

fn everything() -> Vec<(Bytes, Event)> {
    let more = more().into_iter().map(|event| (Bytes::new(), event));
    told(&sample::blocks()).into_iter().chain(more).collect()
}

#[test]
fn a_row_has_every_field_of_its_object_and_nothing_else() {
    let told = everything();
    compare(exported(ExportFormat::Parquet, &told), &json_lines(&told));
}

/// Fails unless the rows of a table are these objects.
pub(super) fn compare(file: Vec<u8>, lines: &[String]) {
    let rows = rows(file);
    assert_eq!(rows.len(), lines.len());
    for (row, line) in rows.iter().zip(lines) {
        let mut found: BTreeMap<String, Value> =
            row.iter().map(|(name, field)| (name.clone(), as_json(name, field))).collect();
        let time_ns = found.remove("time").and_then(|time| time.as_i64()).unwrap();
        let time = jiff::Timestamp::from_nanosecond(time_ns.into()).unwrap();
        assert_eq!(parsed(line)["time"], format!("{time:.9}"));
        // Numbers with decimals may be whole.
        for (name, value) in expected(line) {
            let same = found
                .remove(&name)
                .is_some_and(|found| found == value || found.is_f64() && found.as_f64() == value.as_f64());
            assert!(same, "{name} should be {value}: {line}");
        }
        assert!(found.is_empty(), "nobody told {found:?}: {line}");
    }
}

#[test]
fn every_column_is_filled_by_some_event() {
    // A hook that is tried again once everything was is told by itself.
    let tried = nodes::of_both().into_iter().filter(|event| matches!(event.body, Body::HookStatus(_)));
    let of_nodes = nodes::of_both().into_iter().chain(tried);
    let of_nodes = of_nodes.map(|event| (Bytes::new(), event)).collect();
    let filled: BTreeSet<String> = [everything(), of_nodes]
        .iter()
        .map(|told| exported(ExportFormat::Parquet, told))
        .chain([finding::exported(ExportFormat::Parquet)])
        .flat_map(|file| rows(file).into_iter().flat_map(BTreeMap::into_keys))
        .collect();
    let empty = COLUMNS.iter().map(|column| column.name).filter(|name| !filled.contains(*name));
    // Newer versions only tell what has no column here.
    assert_eq!(empty.collect::<Vec<_>>(), ["rest"]);
}

#[test]
fn every_type_of_event_is_in_the_sample() {
    let types: BTreeSet<String> = json_lines(&everything())
        .iter()
        .map(|line| parsed(line)["type"].as_str().unwrap().to_owned())
        .collect();
    // Those that others' objects tell.
    let silent = ["owner", "container", "namespace", "node", "facts", "session", "session-begin"];
    for kind in RecordKind::ALL.map(RecordKind::name) {
        let name = match kind {
            "hook-status" => "hook",
            "route-lookup" => "route",
            other => other,
        };
        assert_ne!(types.contains(name), silent.contains(&name), "{name}");
    }
}

/// The names of the fields that the source of the JSON output serialises.
fn fields_in(source: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for part in source.split("#[derive(Serialize)]").skip(1) {
        let Some((_, body)) = part.split_once("struct ").and_then(|(_, rest)| rest.split_once("{\n")) else {
            continue;
        };
        let mut attributes = String::new();
        for line in body.lines().map(str::trim).take_while(|line| *line != "}") {
            if line.starts_with('#') {
                attributes.push_str(line);
                continue;
            }
            let name = line.split_once(':').map(|(name, _)| name.rsplit(' ').next().unwrap_or(name));
            if let Some(name) = name.filter(|_| !line.starts_with("//") && !attributes.contains("flatten")) {
                let renamed =
                    attributes.split_once("rename = \"").map(|(_, rest)| rest.split('"').next().unwrap());
                fields.insert(renamed.unwrap_or(name).to_owned());
            }
            attributes.clear();
        }
    }
    fields
}

/// A field the samples lack would go to `rest`, where nobody looks for it.
#[test]
fn every_field_of_the_json_output_has_a_column() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output");
    let files = fs::read_dir(directory.join("json")).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.chain([directory.join("json.rs")]).map(|file| fs::read_to_string(file).unwrap());
    let fields: BTreeSet<String> = sources.flat_map(|source| fields_in(&source)).collect();
    assert!(fields.contains("virtual") && fields.contains("error_name") && fields.len() > 100, "{fields:?}");
    // Fields of objects in lists, of the accounting, and of an enum's name.
    let inside = ["chain", "seen", "delivered", "suppressed", "lost", "unknown", "malformed"];
    let inside_of_findings = ["flows", "retransmits", "connections", "owners"];
    let inside = [&inside[..], &inside_of_findings].concat();
    let columns: BTreeSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
    for field in fields.iter().filter(|field| !inside.contains(&field.as_str())) {
        let types = RecordKind::ALL.map(RecordKind::name);
        let is_nested =
            ["original", "reply", "previous_reply", "about", "grown", "name", "affects", "explained_by"]
                .contains(&&**field);
        let has_column = types.iter().any(|of| columns.contains(&*name_of(of, field)));
        assert!(has_column || is_nested, "{field}");
    }
}

#[test]
fn fields_without_a_column_are_kept() {
    let mut table = Table::new(Vec::new()).unwrap();
    let objects = [
        r#"{"type":"x","time":"","new":"\"","kind":7,"original":{"src":"a","gone":[1]},"sport":99999999999999999999}"#,
        r#"{"type":"x","time":"","netns":4026531840}"#,
    ];
    for json in objects {
        table.add(&Row { time: Timestamp::default(), record: &[], json, finding: None }).unwrap();
    }
    let rows = rows(table.finish().unwrap());
    let rest = r#"{"new":"\"","kind":7,"original_gone":[1],"sport":99999999999999999999}"#;
    assert_eq!(as_json("rest", &rows[0]["rest"]), parsed(rest));
    assert_eq!(as_json("original_src", &rows[0]["original_src"]), "a");
    assert!(!rows[1].contains_key("rest"));
    let broken = Row { time: Timestamp::default(), record: &[], json: "[]", finding: None };
    assert!(Table::new(Vec::new()).unwrap().add(&broken).is_err());
}

#[test]
fn groups_are_written_as_they_fill() {
    const ROWS: i64 = 25;
    let mut table = Table::with_groups_of(10, Vec::new()).unwrap();
    for wall_ns in 0..ROWS {
        let time = Timestamp { boot_ns: 0, wall_ns };
        let port = if wall_ns % 2 == 0 { format!(r#","sport":{wall_ns}"#) } else { String::new() };
        let json = format!(r#"{{"type":"x","time":""{port}}}"#);
        table.add(&Row { time, record: &[], json: &json, finding: None }).unwrap();
    }
    let file = table.finish().unwrap();
    let reader = SerializedFileReader::new(Bytes::from(file.clone())).unwrap();
    let groups = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
    assert_eq!(groups.collect::<Vec<_>>(), [10, 10, 5]);
    for (row, wall_ns) in rows(file).iter().zip(0..ROWS) {
        assert_eq!(as_json("time", &row["time"]), wall_ns);
        assert_eq!(
            row.get("sport").map(|port| as_json("sport", port)),
            (wall_ns % 2 == 0).then(|| json!(wall_ns))
        );
    }
}

#[test]
fn the_documentation_names_every_column() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/export.md");
    let text = fs::read_to_string(file).unwrap();
    let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let missing: Vec<&str> =
        COLUMNS.iter().map(|column| column.name).filter(|name| !named.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn names_of_columns_are_unique() {
    let names: BTreeSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names.len(), COLUMNS.len());
}
