//! Thresholds that a user sets: a file of them, and single ones.

use std::{fmt, ops::Range};

use serde::Deserialize as _;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::Rules;

/// Why thresholds are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The line of the file, counted from 1, where there is one.
    line: Option<usize>,
    /// What is wrong, and what would be right.
    pub(crate) what: String,
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        formatter.write_str(&self.what)
    }
}

/// The thresholds of all rules by their ids, some of them set.
pub(crate) struct Thresholds(Table);

impl Thresholds {
    /// The usual ones.
    pub(crate) fn usual() -> Result<Self, Wrong> {
        let table = Table::try_from(Rules::default());
        table.map(Self).map_err(|error| Wrong { line: None, what: error.to_string() })
    }

    /// Sets those of a file: for each rule a table by its id.
    pub(crate) fn set_all(&mut self, text: &str) -> Result<(), Wrong> {
        let wrong = |error: &toml::de::Error| Wrong {
            line: error.span().map(|span| line_of(text, &span)),
            what: error.message().to_owned(),
        };
        let places = DeTable::parse(text).map_err(|error| wrong(&error))?;
        let values: Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        for (rule, fields) in places.get_ref() {
            let at = |span: Range<usize>| {
                let line = line_of(text, &span);
                move |what| Wrong { line: Some(line), what }
            };
            let id = rule.get_ref().as_ref();
            let DeValue::Table(fields) = fields.get_ref() else {
                return Err(at(rule.span())(format!("{id} is no table: thresholds stand below [{id}]")));
            };
            self.fields(id).map_err(at(rule.span()))?;
            for field in fields.keys() {
                let name = field.get_ref().as_ref();
                let value = values.get(id).and_then(|fields| fields.get(name));
                if let Some(value) = value {
                    self.set(id, name, value.clone()).map_err(at(field.span()))?;
                }
            }
        }
        Ok(())
    }

    /// Sets one, as in `ruleset-bloat.duplicates=500`.
    pub(crate) fn set_one(&mut self, text: &str) -> Result<(), Wrong> {
        let wrong = |what: &str| Wrong { line: None, what: format!("{text}: {what}") };
        let (place, value) = text.split_once('=').ok_or_else(|| wrong("has no =: write ID.FIELD=VALUE"))?;
        let (id, field) =
            place.trim().split_once('.').ok_or_else(|| wrong("has no dot: write ID.FIELD=VALUE"))?;
        let value: Result<Table, _> = toml::from_str(&format!("value = {}", value.trim()));
        let value = value.ok().and_then(|mut table| table.remove("value"));
        let value = value.ok_or_else(|| wrong("the value is no number"))?;
        self.set(id, field, value).map_err(|what| wrong(&what))
    }

    fn fields(&mut self, id: &str) -> Result<&mut Table, String> {
        let known: Vec<String> = self.0.keys().cloned().collect();
        let fields = self.0.get_mut(id).and_then(Value::as_table_mut);
        fields.ok_or_else(|| unknown(&format!("there is no rule {id}"), id, &known))
    }

    fn set(&mut self, id: &str, field: &str, value: Value) -> Result<(), String> {
        let fields = self.fields(id)?;
        let known: Vec<String> = fields.keys().cloned().collect();
        let Some(place) = fields.get_mut(field) else {
            return Err(unknown(&format!("{id} has no threshold {field}"), field, &known));
        };
        let before = std::mem::replace(place, value);
        // A value of the wrong kind or size is the last one set.
        self.rules().map(drop).map_err(|wrong| {
            format!("{id}.{field}: {} (usually {before})", wrong.what.lines().next().unwrap_or_default())
        })
    }

    /// The rules with these thresholds.
    pub(crate) fn rules(&self) -> Result<Rules, Wrong> {
        let wrong = |error: toml::de::Error| Wrong { line: None, what: error.message().to_owned() };
        Rules::deserialize(Value::Table(self.0.clone())).map_err(wrong)
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}

/// Says what is wrong, and which names there are: the nearest one, where it is near, and else all.
pub(super) fn unknown(wrong: &str, name: &str, known: &[impl AsRef<str>]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let nearest = known.iter().map(|other| (distance(name, other), other)).min();
    match nearest {
        Some((distance, other)) if distance <= other.len().div_ceil(3) => {
            format!("{wrong}: did you mean {other}?")
        }
        _ => format!("{wrong}: there are {}", known.join(", ")),
    }
}

/// How many characters must be put in, left out or replaced to make the one of the other (V. Levenshtein, 1966).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, character) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, &wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(character != wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::findings::IDS;

    fn of_file(text: &str) -> Result<Rules, String> {
        let mut thresholds = Thresholds::usual().map_err(|wrong| wrong.to_string())?;
        thresholds.set_all(text).map_err(|wrong| wrong.to_string())?;
        thresholds.rules().map_err(|wrong| wrong.to_string())
    }

    fn of_one(text: &str) -> Result<Rules, String> {
        let mut thresholds = Thresholds::usual().map_err(|wrong| wrong.to_string())?;
        thresholds.set_one(text).map_err(|wrong| wrong.to_string())?;
        thresholds.rules().map_err(|wrong| wrong.to_string())
    }

    fn with_duplicates(duplicates: u32) -> Rules {
        let mut rules = Rules::default();
        rules.ruleset_bloat.duplicates = duplicates;
        rules
    }

    #[test]
    fn what_is_not_set_stays() {
        assert_eq!(of_file(""), Ok(Rules::default()));
        assert_eq!(of_file("# nothing\n[ruleset-bloat]\n"), Ok(Rules::default()));
        assert_eq!(of_file("[ruleset-bloat]\nduplicates = 7\n"), Ok(with_duplicates(7)));
        assert_eq!(of_file("ruleset-bloat.duplicates = 7"), Ok(with_duplicates(7)));
        assert_eq!(of_one("ruleset-bloat.duplicates=7"), Ok(with_duplicates(7)));
        assert_eq!(of_one(" ruleset-bloat.duplicates = 7 "), Ok(with_duplicates(7)));
        let all = toml::to_string(&Rules::default()).expect("plain fields");
        assert_eq!(of_file(&all), Ok(Rules::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            (
                "\n[ruleset-blot]\nduplicates = 7\n",
                "line 2: there is no rule ruleset-blot: did you mean ruleset-bloat?",
            ),
            (
                "[ruleset-bloat]\n\nduplicate = 7\n",
                "line 3: ruleset-bloat has no threshold duplicate: did you mean duplicates?",
            ),
            (
                "ruleset-bloat = 7",
                "line 1: ruleset-bloat is no table: thresholds stand below [ruleset-bloat]",
            ),
            (
                "[ruleset-bloat]\nduplicates = \"many\"\n",
                "line 2: ruleset-bloat.duplicates: invalid type: string \"many\", expected u32 (usually 100)",
            ),
            (
                "[ruleset-bloat]\nduplicates = -1\n",
                "line 2: ruleset-bloat.duplicates: invalid value: integer `-1`, expected u32 (usually 100)",
            ),
        ] {
            assert_eq!(of_file(text), Err(expected.to_owned()), "{text}");
        }
        let broken = of_file("[ruleset-bloat]\nduplicates = = 1\n").expect_err("no TOML");
        assert!(broken.starts_with("line 2: "), "{broken}");
        let far = of_file("[xyz]\n").expect_err("no rule");
        assert!(far.contains("there are ") && far.contains("routing-loop"), "{far}");
    }

    #[test]
    fn a_single_one_says_how_it_is_written() {
        for (text, expected) in [
            ("ruleset-bloat.duplicates", "has no =: write ID.FIELD=VALUE"),
            ("duplicates=1", "has no dot: write ID.FIELD=VALUE"),
            ("ruleset-bloat.duplicates=", "the value is no number"),
            ("ruleset-bloat.duplicates=ten", "the value is no number"),
            (
                "ruleset-bloat.duplicate=1",
                "ruleset-bloat has no threshold duplicate: did you mean duplicates?",
            ),
        ] {
            assert_eq!(of_one(text), Err(format!("{text}: {expected}")));
        }
    }

    /// The rules and thresholds of a table, each threshold with its value.
    fn flat(table: &Table) -> Vec<(String, String)> {
        let fields = |(id, fields): (&String, &Value)| -> Vec<(String, String)> {
            let fields = fields.as_table().into_iter().flatten();
            fields.map(|(field, value)| (format!("{id}.{field}"), value.to_string())).collect()
        };
        table.iter().flat_map(fields).collect()
    }

    #[test]
    fn the_documentation_has_every_rule_and_every_threshold_with_its_value() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
        let text = std::fs::read_to_string(file).expect("the documentation");
        let listed =
            text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a list");
        let listed: Table = toml::from_str(listed).expect("a file of thresholds");
        let usual = Thresholds::usual().expect("plain fields");
        assert_eq!(
            flat(&listed),
            flat(&usual.0),
            "docs/findings.md lists the thresholds otherwise than they are"
        );
        for id in IDS {
            let title = format!("\n## `{id}`\n");
            let section = text.split(title.as_str()).nth(1).unwrap_or_else(|| panic!("no section {id}"));
            let section = section.split("\n## ").next().unwrap_or_default();
            for field in usual.0[id].as_table().expect("fields").keys() {
                let row = format!("\n| `{field}` | {} |", usual.0[id][field]);
                assert!(section.contains(&row), "no {field} of {id} with its value");
            }
        }
    }

    #[test]
    fn near_names_are_near() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("growth", "growht", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_fail_otherwise(text in "(?s).{0,120}") {
            of_file(&text).ok();
            of_one(&text).ok();
        }
    }
}
