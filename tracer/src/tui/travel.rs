//! Going to other moments.

use super::{
    keys::Leap,
    model::{Model, Screen},
    opened::{Opened, Target},
    text::{exact, time_of_day},
    update::answer,
    when::{When, moved},
};
use crate::{
    event::Timestamp,
    history::{Landmark, LandmarkKind},
    state::MarkerKind,
};

const SECOND_NS: i64 = 1_000_000_000;

/// Goes to another moment, within what is kept; on a node it is live again behind the newest event.
pub(super) fn leap(model: &mut Model, leap: Leap) {
    let from = at(model);
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_NS);
    match leap {
        Leap::Back(back) => go(model, moved(from, -seconds(back))),
        Leap::On(on) => go(model, moved(from, seconds(on))),
        Leap::Begin => go(model, model.history.begin()),
        Leap::End => go(model, model.history.end()),
        Leap::MarkerBefore => to_landmark(model, from, "marker", |time| time < from),
        Leap::MarkerAfter => to_landmark(model, from, "marker", |time| time > from),
        Leap::FindingBefore => to_landmark(model, from, "finding", |time| time < from),
        Leap::FindingAfter => to_landmark(model, from, "finding", |time| time > from),
    }
}

/// Goes to a moment that was typed.
pub(super) fn go_to(model: &mut Model, when: When) {
    go(model, when.of(model.history.begin(), model.history.end(), at(model)));
}

/// Plays a session faster, or slower.
pub(super) fn change_speed(model: &mut Model, is_faster: bool) {
    if model.history.session().is_none() {
        return answer(model, "a live node goes at its own speed: only a session is played");
    }
    model.player.change_speed(is_faster);
    let speed = model.player.speed();
    answer(model, &format!("{speed}× as fast as it happened"));
}

/// The moment that is shown.
fn at(model: &Model) -> Timestamp {
    model.history.moment().unwrap_or_else(|| model.history.end())
}

fn go(model: &mut Model, to: Timestamp) {
    let (begin, end) = (model.history.begin(), model.history.end());
    let is_session = model.history.session().is_some();
    if to.boot_ns < begin.boot_ns {
        let what = if is_session { "the session" } else { "what is kept" };
        let text = format!("{what} begins at {} UTC", time_of_day(begin));
        answer(model, &text);
    }
    if to.boot_ns >= end.boot_ns {
        if is_session && to.boot_ns > end.boot_ns {
            let text = format!("the session ends at {} UTC", time_of_day(end));
            answer(model, &text);
        }
        model.is_past = false;
        model.history.resume();
    } else {
        model.is_past = true;
        model.history.go_to(to);
    }
}

/// Goes to the nearest landmark of a sort before or after a moment, and says what it is.
fn to_landmark(model: &mut Model, from: Timestamp, sort: &str, is_there: impl Fn(Timestamp) -> bool) {
    let landmarks = model.history.landmarks();
    let begin = model.history.begin();
    let all: Vec<&Landmark> = landmarks
        .iter()
        .filter(|landmark| landmark.kind.is_of_finding() == (sort == "finding"))
        .filter(|landmark| landmark.time >= begin)
        .collect();
    let found = all
        .iter()
        .enumerate()
        .filter(|(_, landmark)| is_there(landmark.time))
        .min_by_key(|(_, landmark)| landmark.time.boot_ns.abs_diff(from.boot_ns));
    let Some((index, landmark)) = found else {
        let is_before = is_there(Timestamp::default());
        let text = none_text(model, sort, is_before);
        return answer(model, &text);
    };
    let (time, said, finding) = (landmark.time, landmark_text(landmark), landmark.finding.clone());
    let number = format!("{sort} {} of {}", exact(index as u64 + 1), exact(all.len() as u64));
    drop(landmarks);
    go(model, time);
    if let Some(finding) = finding {
        show(model, Target::Finding(finding));
    }
    answer(model, &format!("{number}: {said}"));
}

/// Selects a finding where findings are listed, and where one is open, opens it instead.
fn show(model: &mut Model, finding: Target) {
    if let Some(opened) = model.details.as_mut().filter(|opened| matches!(opened.target, Target::Finding(_)))
    {
        *opened = Opened::new(finding.clone());
    }
    model.chosen[Screen::Overview as usize] = Some(finding);
}

/// Says that there is no such landmark, as far as is known.
fn none_text(model: &Model, sort: &str, is_before: bool) -> String {
    match (model.history.session(), is_before) {
        (None, true) => format!("no {sort} before this moment is kept"),
        (Some(replay), false) if !replay.is_indexed() => {
            format!("no {sort} comes after this moment in what has been read so far")
        }
        (_, true) => format!("no {sort} comes before this moment"),
        (_, false) => format!("no {sort} comes after this moment"),
    }
}

/// What a landmark is, in a few words.
fn landmark_text(landmark: &Landmark) -> String {
    let what = match landmark.kind {
        LandmarkKind::Finding => "it opened",
        LandmarkKind::Closed => "it closed",
        LandmarkKind::Marker(MarkerKind::User) => "marked",
        LandmarkKind::Marker(MarkerKind::Ipvs) => "IPVS was configured",
        LandmarkKind::Marker(MarkerKind::Route) => "a route or a rule changed",
        LandmarkKind::Marker(MarkerKind::Surroundings) => "an address, a device or a setting changed",
    };
    match landmark.text.as_ref().filter(|text| !text.as_str().is_empty()) {
        Some(text) => text.to_string(),
        None => what.to_owned(),
    }
}
