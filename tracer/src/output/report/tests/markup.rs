//! The page is well-formed, needs nothing else, and takes no text from outside for anything but text.

use proptest::prelude::*;

use super::{busy, of_every_event, report};
use crate::{
    event::{Body, Process, RetransmitKind, Text},
    output::report::{Report, document::Document, html},
    state::fixture::{event, hostile, retransmit},
};

/// Elements and attributes a report has.
const ELEMENTS: [&str; 43] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "p",
    "nav",
    "ul",
    "li",
    "a",
    "main",
    "section",
    "article",
    "h3",
    "dl",
    "dt",
    "dd",
    "h2",
    "div",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "svg",
    "desc",
    "line",
    "rect",
    "text",
    "g",
    "h3",
    "h4",
    "ol",
    "span",
    "code",
    "pre",
];

/// Reads a page as an XML reader would, strictly: elements open and close in order, every attribute is quoted, every
/// reference known. Gives the text that is shown.
fn read_strictly(page: &str) -> Result<String, String> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("no document type")?;
    let (mut open, mut shown) = (Vec::new(), String::new());
    while let Some(place) = rest.find('<') {
        let text = &rest[..place];
        if open.last() != Some(&"style") {
            shown.push_str(&unescaped(text)?);
        }
        let end = rest[place..].find('>').ok_or("an element without an end")? + place;
        let inside = &rest[place + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            let opened = open.pop().ok_or(format!("{name} closes nothing"))?;
            if opened != name {
                return Err(format!("{name} closes {opened}"));
            }
            continue;
        }
        let (inside, is_void) = inside.strip_suffix(" /").map_or((inside, false), |inside| (inside, true));
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        if !ELEMENTS.contains(&name) {
            return Err(format!("the element {name:?}"));
        }
        read_attributes(attributes)?;
        if !is_void {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(shown) } else { Err(format!("{open:?} are never closed")) }
}

fn read_attributes(mut attributes: &str) -> Result<(), String> {
    while !attributes.is_empty() {
        let (name, after) = attributes.split_once("=\"").ok_or(format!("no value: {attributes:?}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no end of {name}"))?;
        let is_name = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
        if !is_name || name.starts_with("on") || matches!(name, "src" | "style") {
            return Err(format!("the attribute {name:?}"));
        }
        let value = unescaped(value)?;
        if name == "href" && !value.starts_with('#') {
            return Err(format!("a link to {value:?}"));
        }
        attributes = after.strip_prefix(' ').unwrap_or(after);
    }
    Ok(())
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut parts = text.split('&');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, after) = part.split_once(';').ok_or(format!("a bare ampersand: {part:?}"))?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => return Err(format!("the reference {name:?}")),
        });
        plain.push_str(after);
    }
    match plain.chars().find(|character| character.is_control() && *character != '\n') {
        Some(character) => Err(format!("the control character {character:?}")),
        None => Ok(plain),
    }
}

#[test]
fn pages_are_well_formed_and_have_their_charts() {
    for (name, report, charts) in
        [("every event", of_every_event(), 3), ("busy", busy(), 5), ("nothing", Report::default(), 0)]
    {
        let page = report.html();
        let shown = read_strictly(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        for sentence in report.document(100).summary {
            assert!(shown.contains(&sentence), "{name} lacks {sentence}");
        }
        let drawn = page.matches("<svg").count();
        assert!(drawn >= charts, "{name}: {drawn}");
        assert_eq!(page.matches("<desc").count(), drawn, "{name}");
        for outside in ["http:", "https:", "url(", "@import", "<script", "//"] {
            assert!(!page.contains(outside), "{name} has {outside}");
        }
    }
}

#[test]
fn hostile_names_stay_text() {
    let hostile = Report { state: Box::new(hostile::node()), ..busy() };
    read_strictly(&hostile.html()).unwrap();
    let evil = "</title><script>x()</script><a href=\"http://evil\" onclick='x()'>&lt;";
    let mut told = retransmit(RetransmitKind::Syn, "10.0.0.1:4242", "10.0.0.2:80");
    told.process = Some(Process { id: 7, command: Text::new(evil) });
    let marker = event(2_000, Body::Marker(Text::new(evil)));
    let report = report([event(1_000, Body::Retransmit(told)), marker]);
    let shown = read_strictly(&report.html()).unwrap();
    assert!(shown.matches(evil).count() >= 3, "{shown}");
}

/// A report in which everything that can come from outside is this text.
fn filled_with(text: &str) -> Document {
    let mut document = busy().document(100);
    let fill = |place: &mut String| text.clone_into(place);
    document.summary.iter_mut().for_each(fill);
    for node in &mut document.nodes {
        fill(&mut node.host);
        fill(&mut node.kernel);
        node.hooks_missing.iter_mut().for_each(|hook| fill(&mut hook.reason));
    }
    for finding in &mut document.findings {
        fill(&mut finding.who);
        fill(&mut finding.what);
        finding.evidence = vec![text.to_owned()];
        finding.advice = vec![text.to_owned()];
        finding.affects.owners = vec![text.to_owned()];
        finding.events.iter_mut().for_each(|one| fill(&mut one.text));
    }
    for entry in &mut document.timeline.entries {
        fill(&mut entry.place.netns);
        fill(&mut entry.text);
    }
    for flow in &mut document.flows.rows {
        fill(&mut flow.name);
        fill(&mut flow.owner);
    }
    for neighbour in &mut document.neighbours.rows {
        fill(&mut neighbour.dev);
    }
    for server in &mut document.servers.rows {
        fill(&mut server.service);
    }
    document.gaps.damage.push(text.to_owned());
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_the_text_the_page_stays_the_page(text in "[\\PC<>&\"'/=;!\\[\\]\\x00-\\x1f-]{0,40}") {
        let page = html::page(&filled_with(&text));
        let shown = read_strictly(&page);
        prop_assert!(shown.is_ok(), "{:?}", shown);
        let expected: String =
            text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect();
        prop_assert!(shown.unwrap().contains(&expected));
    }
}
