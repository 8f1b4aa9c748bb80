//! Addresses that several hardware addresses answer for: who was heard when, and whom the kernel kept.

use super::{
    axis::{Axis, bar, chart, float, line, name},
    markup::Markup,
};
use crate::{
    output::report::document::{Answerer, Document, Neighbour},
    words::counted,
};

const LANE: f64 = 30.0;
/// Addresses drawn; the others are in the table.
const ADDRESSES: usize = 8;

pub(super) fn draw(page: &mut Markup, document: &Document) {
    let Some(axis) = Axis::of(document) else { return };
    for (place, neighbour) in document.neighbours.rows.iter().take(ADDRESSES).enumerate() {
        draw_address(page, axis, place, neighbour);
    }
}

fn draw_address(page: &mut Markup, axis: Axis, place: usize, neighbour: &Neighbour) {
    let bottom = 6.0 + float(neighbour.answerers.len() as u64) * LANE;
    let title = format!("Who answered for {} on {}", neighbour.address, neighbour.dev);
    let description = "A row for each hardware address. The band says when the kernel kept it; filled marks are answers \
                       the kernel took, hollow ones those it ignored, ticks below are messages that claim the address.";
    chart(page, &format!("answerers-{place}"), (&title, description), bottom + 24.0, |svg| {
        axis.draw(svg, 4.0, bottom);
        for (row, answerer) in neighbour.answerers.iter().enumerate() {
            let y = 6.0 + float(row as u64) * LANE;
            draw_kept(svg, axis, y, neighbour, answerer);
            draw_answerer(svg, axis, y, answerer);
        }
    });
}

fn draw_kept(svg: &mut Markup, axis: Axis, y: f64, neighbour: &Neighbour, answerer: &Answerer) {
    let (_, right) = Axis::ends();
    for (place, kept) in neighbour.kept.iter().enumerate() {
        if kept.mac.as_deref() != Some(answerer.mac.as_str()) {
            continue;
        }
        let begin = axis.at(kept.since);
        let end = neighbour.kept.get(place + 1).map_or(right, |next| axis.at(next.since));
        let words = format!("the kernel kept {} from {} on", answerer.mac, axis.times.exact(kept.since));
        bar(svg, "kept", (begin, y + 2.0), (end - begin, LANE - 4.0), &words);
    }
}

fn draw_answerer(svg: &mut Markup, axis: Axis, y: f64, answerer: &Answerer) {
    name(svg, y + LANE / 2.0 + 4.0, &answerer.mac);
    for (place, &[taken, ignored, claims]) in answerer.counts.iter().enumerate() {
        let x = axis.at_offset((float(place as u64) + 0.5) * float(answerer.bucket_ns));
        if taken > 0 {
            let words = format!("taken or confirmed {}", counted(taken, "time"));
            bar(svg, "taken", (x - 2.0, y + 6.0), (4.0, 8.0), &words);
        }
        if ignored > 0 {
            let words = format!("ignored {}", counted(ignored, "time"));
            bar(svg, "ignored", (x - 2.0, y + 6.0), (4.0, 8.0), &words);
        }
        if claims > 0 {
            line(svg, "claim", (x, y + 18.0), (x, y + 24.0));
        }
    }
}
