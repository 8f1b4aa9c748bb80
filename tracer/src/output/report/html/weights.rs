//! Weights of real servers and the new connections they got.

use super::{
    axis::{Axis, bar, chart, float, line, name, text},
    markup::Markup,
};
use crate::{
    output::report::{
        document::{Document, Server},
        text::bucket,
    },
    words::{counted, exact},
};

const LANE: f64 = 54.0;
/// How high the bars of connections are, and the line of weights above.
const CONNECTIONS: f64 = 24.0;
const WEIGHT: f64 = 18.0;
/// Services drawn, and servers of one; the others are in the table.
const SERVICES: usize = 6;
const SERVERS: usize = 10;

pub(super) fn draw(page: &mut Markup, document: &Document) {
    let Some(axis) = Axis::of(document) else { return };
    // Those of one service stand together.
    let services = document
        .servers
        .rows
        .chunk_by(|one, other| (&one.service, &one.place) == (&other.service, &other.place));
    for (place, servers) in services.take(SERVICES).enumerate() {
        draw_service(page, axis, place, &servers[..servers.len().min(SERVERS)]);
    }
}

fn draw_service(page: &mut Markup, axis: Axis, place: usize, servers: &[Server]) {
    let Some(first) = servers.first() else { return };
    let bottom = 6.0 + float(servers.len() as u64) * LANE;
    let title = format!("Service {}", first.service);
    let description = "A row for each real server: above its weight, as a line with the numbers it changed to, below the \
                       new connections it got. Hollow bars are new connections while it was drained or gone, or that \
                       were turned away.";
    let weight = servers.iter().flat_map(|server| &server.weights).filter_map(|step| step.weight).max();
    let connections =
        servers.iter().flat_map(|server| &server.counts).map(|counts| counts.iter().sum()).max();
    let most = (f64::from(weight.unwrap_or(1).max(1)), float(connections.unwrap_or(1).max(1)));
    chart(page, &format!("servers-{place}"), (&title, description), bottom + 24.0, |svg| {
        axis.draw(svg, 4.0, bottom);
        for (row, server) in servers.iter().enumerate() {
            let y = 6.0 + float(row as u64) * LANE;
            name(svg, y + LANE / 2.0, server.real.as_deref().unwrap_or("no real server"));
            draw_weights(svg, axis, y + 4.0, most.0, server);
            draw_connections(svg, axis, y + LANE - 4.0, most.1, server);
        }
    });
}

fn draw_weights(svg: &mut Markup, axis: Axis, top: f64, most: f64, server: &Server) {
    let (_, right) = Axis::ends();
    let height = |weight: i32| top + WEIGHT - f64::from(weight.max(0)) / most * (WEIGHT - 6.0);
    let mut before: Option<f64> = None;
    for (place, step) in server.weights.iter().enumerate() {
        let begin = axis.at(step.since);
        let end = server.weights.get(place + 1).map_or(right, |next| axis.at(next.since));
        let Some(weight) = step.weight else {
            text(svg, "weight-value", (begin + 3.0, top + WEIGHT - 2.0), "start", "gone");
            before = None;
            continue;
        };
        let y = height(weight);
        if let Some(before) = before {
            line(svg, "weight", (begin, before), (begin, y));
        }
        line(svg, "weight", (begin, y), (end, y));
        text(svg, "weight-value", (begin + 3.0, y - 2.0), "start", &weight.to_string());
        before = Some(y);
    }
}

fn draw_connections(svg: &mut Markup, axis: Axis, floor: f64, most: f64, server: &Server) {
    let (left, right) = Axis::ends();
    line(svg, "frame", (left, floor), (right, floor));
    for (place, &[well, drained, turned_away]) in server.counts.iter().enumerate() {
        let offset_ns = float(place as u64) * float(server.bucket_ns);
        let (begin, end) = (axis.at_offset(offset_ns), axis.at_offset(offset_ns + float(server.bucket_ns)));
        let width = (end - begin - 1.0).max(2.0);
        let mut y = floor;
        for (class, count, what) in [
            ("dialled", well, "given to it"),
            ("drained", drained, "given to it while drained or gone"),
            ("turned-away", turned_away, "turned away"),
        ] {
            if count > 0 {
                let height = (float(count) / most * CONNECTIONS).max(2.0);
                y -= height;
                let words = format!(
                    "{} {what}, from {} after the beginning",
                    counted(count, "new connection"),
                    bucket(server.bucket_ns * place as u64)
                );
                bar(svg, class, (begin, y), (width, height), &words);
            }
        }
    }
    text(svg, "peak", (right + 4.0, floor - 2.0), "start", &exact(server.connections));
}
