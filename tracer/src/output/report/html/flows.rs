//! The flows that send most again: from when to when, and their longest outage.

use super::{
    axis::{Axis, bar, chart, float, name, text, when},
    markup::Markup,
};
use crate::{
    output::report::document::{Document, Flow},
    words::{duration, exact},
};

const ROW: f64 = 20.0;

pub(super) fn draw(page: &mut Markup, document: &Document) {
    let Some(axis) = Axis::of(document) else { return };
    let flows = &document.flows.rows;
    if flows.is_empty() {
        return;
    }
    let bottom = 8.0 + float(flows.len() as u64) * ROW;
    let description = "From the first to the last attempt of each flow, the number of attempts at the right. \
                       The thick part is the longest time in which nothing got through.";
    chart(page, "flows-chart", ("Flows with the most attempts", description), bottom + 24.0, |svg| {
        axis.draw(svg, 4.0, bottom);
        for (place, flow) in flows.iter().enumerate() {
            draw_flow(svg, axis, 8.0 + float(place as u64) * ROW, flow);
        }
    });
}

fn draw_flow(svg: &mut Markup, axis: Axis, y: f64, flow: &Flow) {
    name(svg, y + 13.0, &flow.name);
    let (begin, end) = (axis.at(flow.span.first), axis.at(flow.span.last));
    let words = format!("{}: {} ({})", flow.name, flow.kinds, when(flow.span));
    bar(svg, "flow", (begin, y + 7.0), ((end - begin).max(3.0), 6.0), &words);
    if let Some(outage) = flow.longest_outage {
        let (begin, end) = (axis.at(outage.first), axis.at(outage.last));
        let words = format!("nothing got through for {}", duration(outage.duration_ns()));
        bar(svg, "outage", (begin, y + 3.0), ((end - begin).max(2.0), 14.0), &words);
    }
    let (_, right) = Axis::ends();
    text(svg, "peak", (right + 4.0, y + 13.0), "start", &exact(flow.attempts));
}
