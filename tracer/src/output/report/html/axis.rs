//! The time axis that charts have in common, and the frame around a chart.

use super::markup::Markup;
use crate::output::report::{
    document::{Document, Extent, Moment},
    text::{Times, time},
};

/// Widths in units of the drawing; a page scales it to its own.
pub(super) const WIDTH: f64 = 960.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 60.0;

/// Where a time is drawn.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    begin: Moment,
    begin_ns: f64,
    length_ns: f64,
    /// How times are written.
    pub(super) times: Times,
}

impl Axis {
    /// The axis of the whole session; `None` if it has no events.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let Extent { first, .. } = document.span?;
        let span_ns = document.span?.duration_ns();
        Some(Self {
            begin: first,
            begin_ns: float(first.0.boot_ns),
            length_ns: float(span_ns).max(1.0),
            times: Times::of(document),
        })
    }

    /// Where a moment is, from left to right.
    pub(super) fn at(self, moment: Moment) -> f64 {
        self.at_offset(float(moment.0.boot_ns) - self.begin_ns)
    }

    /// The same of so many nanoseconds after the beginning.
    pub(super) fn at_offset(self, offset_ns: f64) -> f64 {
        let part = (offset_ns / self.length_ns).clamp(0.0, 1.0);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    /// The left and the right end.
    pub(super) fn ends() -> (f64, f64) {
        (LEFT, WIDTH - RIGHT)
    }

    /// Draws lines at round times from `top` to `bottom`, and the times below.
    pub(super) fn draw(self, svg: &mut Markup, top: f64, bottom: f64) {
        for offset_ns in self.ticks() {
            let x = self.at_offset(offset_ns);
            line(svg, "grid", (x, top), (x, bottom));
            let nanoseconds = whole(offset_ns);
            let label = self.times.seconds(later(self.begin, nanoseconds));
            text(svg, "tick", (x, bottom + 14.0), "middle", &label);
        }
        line(svg, "frame", (LEFT, bottom), (WIDTH - RIGHT, bottom));
    }

    /// Round times, as offsets from the beginning in nanoseconds.
    fn ticks(self) -> Vec<f64> {
        const STEPS_S: [u32; 16] =
            [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
        // A label needs a tenth of the width, one with a date more.
        let most = self.times.most_on_an_axis();
        let seconds = self.length_ns / 1e9;
        let step = STEPS_S.into_iter().map(f64::from).find(|step| seconds / step <= most);
        let step = step.unwrap_or_else(|| (seconds / most / 86_400.0).ceil() * 86_400.0);
        #[expect(clippy::cast_precision_loss, reason = "a part of a second does not show")]
        let wall_s = self.begin.0.wall_ns as f64 / 1e9;
        let first = (wall_s / step).ceil() * step - wall_s;
        let mut ticks = Vec::new();
        let mut offset = first;
        while offset <= seconds && ticks.len() < 12 {
            ticks.push(offset * 1e9);
            offset += step;
        }
        ticks
    }
}

/// A chart in its frame, with a title and a description for those who do not see it.
pub(super) fn chart(
    page: &mut Markup,
    id: &str,
    (title, description): (&str, &str),
    height: f64,
    draw: impl FnOnce(&mut Markup),
) {
    let (title_id, description_id) = (format!("{id}-name"), format!("{id}-description"));
    let labels = format!("{title_id} {description_id}");
    let view_box = format!("0 0 {WIDTH} {height}");
    page.element("figure", &[], |page| {
        page.element("figcaption", &[], |page| page.text(title));
        let attributes = [("role", "img"), ("aria-labelledby", labels.as_str()), ("viewBox", &view_box)];
        page.element("svg", &attributes, |page| {
            page.element("title", &[("id", &title_id)], |page| page.text(title));
            page.element("desc", &[("id", &description_id)], |page| page.text(description));
            draw(page);
        });
        page.element("p", &[("class", "legend")], |page| page.text(description));
    });
}

/// A straight line.
pub(super) fn line(svg: &mut Markup, class: &'static str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
    svg.void("line", &[("class", class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
}

/// A bar, with words that show when it is pointed at.
pub(super) fn bar(
    svg: &mut Markup,
    class: &str,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    words: &str,
) {
    let [x, y, width, height] = [x, y, width.max(1.0), height.max(0.5)].map(number);
    let place = [("class", class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    if words.is_empty() {
        svg.void("rect", &place);
    } else {
        svg.element("rect", &place, |svg| svg.element("title", &[], |svg| svg.text(words)));
    }
}

/// A text; `anchor` is `start`, `middle` or `end`.
pub(super) fn text(
    svg: &mut Markup,
    class: &'static str,
    (x, y): (f64, f64),
    anchor: &'static str,
    words: &str,
) {
    let [x, y] = [x, y].map(number);
    let attributes = [("class", class), ("x", x.as_str()), ("y", y.as_str()), ("text-anchor", anchor)];
    svg.element("text", &attributes, |svg| svg.text(words));
}

/// A name at the left of a row, cut in its middle if it is too long, whole when it is pointed at.
pub(super) fn name(svg: &mut Markup, y: f64, whole: &str) {
    const CELLS: usize = 28;
    let [x, y] = [LEFT - 8.0, y].map(number);
    let attributes = [("class", "name"), ("x", x.as_str()), ("y", y.as_str()), ("text-anchor", "end")];
    svg.element("text", &attributes, |svg| {
        svg.text(&clip_middle(whole, CELLS));
        svg.element("title", &[], |svg| svg.text(whole));
    });
}

/// What happened when, for a title.
pub(super) fn when(extent: Extent) -> String {
    format!("{} to {} UTC", time(extent.first), time(extent.last))
}

/// The text in at most so many characters, its middle left out if it is longer.
pub(super) fn clip_middle(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let end = (most - 1) / 2;
    let start: String = characters[..most - 1 - end].iter().collect();
    let end: String = characters[characters.len() - end..].iter().collect();
    format!("{start}…{end}")
}

/// A coordinate with a tenth of a unit, which is less than a dot.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A count or a time as a coordinate is made from it.
#[expect(clippy::cast_precision_loss, reason = "what is lost is far less than a dot")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an offset within the session")]
fn whole(offset_ns: f64) -> u64 {
    offset_ns.round() as u64
}

fn later(moment: Moment, nanoseconds: u64) -> Moment {
    let mut time = moment.0;
    time.boot_ns = time.boot_ns.saturating_add(nanoseconds);
    time.wall_ns = time.wall_ns.saturating_add_unsigned(nanoseconds);
    Moment(time)
}
