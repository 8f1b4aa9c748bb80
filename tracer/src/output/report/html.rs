//! The report as a page: one file, no network, no script, charts drawn as SVG, each beside the table it is drawn from.

mod answerers;
mod axis;
mod flows;
mod markup;
mod rates;
mod weights;

use self::markup::Markup;
use super::{
    document::Document,
    sections::{Card, Section, Table, sections},
    text::with_commands,
};
use crate::words::exact;

/// How everything looks, on light and dark screens and on paper.
const STYLE: &str = include_str!("html/style.css");

/// Nothing is loaded and nothing runs, whatever the page may hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub(super) fn page(document: &Document) -> String {
    let mut page = Markup::document();
    page.element("html", &[("lang", "en")], |page| {
        page.element("head", &[], |page| head(page, document));
        page.element("body", &[], |page| body(page, document));
    });
    page.finish()
}

fn head(page: &mut Markup, document: &Document) {
    page.void("meta", &[("charset", "utf-8")]);
    page.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.element("title", &[], |page| page.text(&title(document)));
    page.element("style", &[], |page| page.constant(STYLE));
}

fn title(document: &Document) -> String {
    let hosts = document.nodes.iter().map(|node| node.host.as_str()).filter(|host| !host.is_empty());
    let hosts: Vec<&str> = hosts.collect();
    if hosts.is_empty() {
        "What tracer saw".to_owned()
    } else {
        format!("What tracer saw on {}", hosts.join(", "))
    }
}

fn body(page: &mut Markup, document: &Document) {
    let sections = sections(document);
    page.element("header", &[], |page| {
        page.element("h1", &[], |page| page.text(&title(document)));
        for sentence in &document.summary {
            page.element("p", &[], |page| page.text(sentence));
        }
        page.element("nav", &[("aria-label", "Parts of the report")], |page| {
            page.element("ul", &[], |page| {
                for section in &sections {
                    let target = format!("#{}", section.id);
                    page.element("li", &[], |page| {
                        page.element("a", &[("href", &target)], |page| page.text(section.title));
                    });
                }
            });
        });
    });
    page.element("main", &[], |page| {
        for section in &sections {
            write_section(page, document, section);
        }
    });
}

fn write_section(page: &mut Markup, document: &Document, section: &Section) {
    let heading = format!("{}-title", section.id);
    let attributes = [("id", section.id), ("aria-labelledby", heading.as_str())];
    page.element("section", &attributes, |page| {
        page.element("h2", &[("id", &heading)], |page| page.text(section.title));
        for sentence in &section.sentences {
            page.element("p", &[], |page| page.text(sentence));
        }
        match section.id {
            "rates" => rates::draw(page, document),
            "retransmits" => flows::draw(page, document),
            "neighbours" => answerers::draw(page, document),
            "ipvs" => weights::draw(page, document),
            _ => {}
        }
        for table in &section.tables {
            write_table(page, section.title, table);
        }
        for card in &section.cards {
            write_card(page, card);
        }
    });
}

fn write_card(page: &mut Markup, card: &Card) {
    page.element("article", &[], |page| {
        page.element("h3", &[], |page| page.text(&card.title));
        page.element("dl", &[], |page| {
            for (title, said) in &card.parts {
                page.element("dt", &[], |page| page.text(title));
                for one in said {
                    page.element("dd", &[], |page| write_prose(page, one));
                }
            }
        });
        if let Some(table) = &card.table {
            write_table(page, &card.title, table);
        }
    });
}

/// A sentence with its commands as they are typed.
fn write_prose(page: &mut Markup, sentence: &str) {
    for (is_command, part) in with_commands(sentence) {
        if is_command {
            page.element("code", &[], |page| page.text(part));
        } else {
            page.text(part);
        }
    }
}

fn write_table(page: &mut Markup, title: &str, table: &Table) {
    let name = table.caption.as_deref().unwrap_or(title);
    // A wide table scrolls within its own frame, which the keyboard reaches too.
    let frame = [("class", "table"), ("tabindex", "0"), ("role", "region"), ("aria-label", name)];
    page.element("div", &frame, |page| {
        page.element("table", &[], |page| {
            if let Some(caption) = &table.caption {
                page.element("caption", &[], |page| page.text(caption));
            }
            page.element("thead", &[], |page| {
                page.element("tr", &[], |page| {
                    for column in &table.columns {
                        let class = if column.is_number { "number" } else { "words" };
                        let attributes = [("scope", "col"), ("class", class)];
                        page.element("th", &attributes, |page| page.text(column.title));
                    }
                });
            });
            page.element("tbody", &[], |page| {
                for row in &table.rows {
                    write_row(page, table, row);
                }
            });
        });
    });
    if table.more > 0 {
        page.element("p", &[("class", "more")], |page| page.text(&format!("and {} more", exact(table.more))));
    }
}

fn write_row(page: &mut Markup, table: &Table, row: &[String]) {
    page.element("tr", &[], |page| {
        for (cell, column) in row.iter().zip(&table.columns) {
            let class = if column.is_number { "number" } else { "words" };
            page.element("td", &[("class", class)], |page| page.text(cell));
        }
    });
}
