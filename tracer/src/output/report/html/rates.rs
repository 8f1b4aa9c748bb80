//! How often each family had something to tell, with markers and findings on the same axis.

use super::{
    axis::{Axis, bar, chart, clip_middle, float, line, name, text, when},
    markup::Markup,
};
use crate::{
    output::report::{
        document::{Document, Entry, Finding, Rate},
        text::bucket,
    },
    words::{counted, exact},
};

const LANE: f64 = 56.0;
const BAR: f64 = 44.0;
const ROW: f64 = 18.0;

/// Findings drawn, the worst first; all are in the table.
const FINDINGS: usize = 12;
/// Markers drawn; all are in the timeline.
const MARKERS: usize = 60;
/// Characters of what a user typed; whoever points at the line reads all of it.
const MARKER_CELLS: usize = 32;

pub(super) fn draw(page: &mut Markup, document: &Document) {
    let Some(axis) = Axis::of(document) else { return };
    let rates: Vec<&Rate> = document.rates.families.iter().filter(|rate| rate.events > 0).collect();
    let findings: Vec<&Finding> =
        document.findings.iter().filter(|finding| finding.span.is_some()).take(FINDINGS).collect();
    let markers: Vec<&Entry> =
        document.timeline.entries.iter().filter(|entry| entry.marker).take(MARKERS).collect();
    let words = if markers.iter().any(|marker| is_of_user(marker)) { ROW } else { 4.0 };
    let top = words + float(findings.len() as u64) * ROW + 10.0;
    let bottom = top + float(rates.len() as u64) * LANE;
    let description = format!(
        "Events of each family in every {}, the largest number at the right. Dashed lines are changes and what was \
         marked{}.",
        bucket(document.rates.bucket_ns),
        if findings.is_empty() {
            ""
        } else {
            ", bars at the top what stands out, from when to when it was seen"
        }
    );
    chart(page, "rates-chart", ("Events over time", &description), bottom + 24.0, |svg| {
        axis.draw(svg, 4.0, bottom);
        for (place, finding) in findings.iter().enumerate() {
            draw_finding(svg, axis, words + float(place as u64) * ROW, finding);
        }
        for (place, rate) in rates.iter().enumerate() {
            draw_rate(svg, axis, top + float(place as u64) * LANE, document.rates.bucket_ns, rate);
        }
        for marker in markers {
            draw_marker(svg, axis, bottom, marker);
        }
    });
}

fn draw_finding(svg: &mut Markup, axis: Axis, y: f64, finding: &Finding) {
    let Some(span) = finding.span else { return };
    let (begin, end) = (axis.at(span.first), axis.at(span.last));
    let words = format!("{} {}: {} ({})", finding.severity, finding.who, finding.what, when(span));
    name(svg, y + 11.0, &format!("{} {}", finding.mark, finding.who));
    let class = format!("finding {}", finding.severity);
    bar(svg, &class, (begin, y + 2.0), ((end - begin).max(3.0), ROW - 7.0), &words);
}

fn draw_rate(svg: &mut Markup, axis: Axis, y: f64, bucket_ns: u64, rate: &Rate) {
    let (left, right) = Axis::ends();
    let floor = y + LANE - 4.0;
    name(svg, floor - BAR / 2.0, rate.family);
    line(svg, "frame", (left, floor), (right, floor));
    text(svg, "peak", (right + 4.0, floor - BAR + 10.0), "start", &exact(rate.peak));
    for (place, &count) in rate.counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
        let offset_ns = float(place as u64) * float(bucket_ns);
        let (begin, end) = (axis.at_offset(offset_ns), axis.at_offset(offset_ns + float(bucket_ns)));
        let height = (float(count) / float(rate.peak.max(1)) * BAR).max(1.0);
        let words = counted(count, "event");
        bar(svg, "rate", (begin, floor - height), ((end - begin).max(1.0), height), &words);
    }
}

fn draw_marker(svg: &mut Markup, axis: Axis, bottom: f64, marker: &Entry) {
    let x = axis.at(marker.first);
    let words = format!("{} {}: {}", axis.times.exact(marker.first), marker.kind, marker.text);
    let class = if is_of_user(marker) { "marker user" } else { "marker" };
    svg.element("g", &[("class", class)], |svg| {
        svg.element("title", &[], |svg| svg.text(&words));
        line(svg, "line", (x, 4.0), (x, bottom));
        if is_of_user(marker) {
            text(svg, "marked", (x + 4.0, 13.0), "start", &clip_middle(&marker.text, MARKER_CELLS));
        }
    });
}

fn is_of_user(marker: &Entry) -> bool {
    marker.kind == "marker"
}
