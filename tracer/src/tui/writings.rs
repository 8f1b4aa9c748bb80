//! The last while, written to a file when the user asks for it.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    model::Model,
    update::{Input, update},
};
use crate::{
    event::Text,
    session::{Capture, Ending, Standing},
    state::Node,
};

/// Files that may be written at a time: each holds what was kept when it was asked for.
const MOST: usize = 2;

/// The files being written, each by a thread of its own. Dropping it waits for them.
#[derive(Debug)]
pub(super) struct Writings {
    directory: PathBuf,
    ending: Vec<Ending>,
}

impl Writings {
    /// Into a directory; the current one if that is empty.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, ending: Vec::new() }
    }

    /// Begins to write all that is kept, and answers the user.
    pub(super) fn begin(&mut self, model: &mut Model) {
        let text = match model.history.kept() {
            _ if self.ending.len() >= MOST => {
                "not written: the disk is still busy with the files before".to_owned()
            }
            None => "there is nothing to write".to_owned(),
            Some(kept) => {
                let path = self.directory.join(named(model.shown().node.as_ref(), Timestamp::now()));
                match Capture::begin(path, kept, &Text::new("flight recorder: key pressed")) {
                    Ok(capture) => {
                        // Nothing follows, so that nothing can be missing.
                        self.ending.push(capture.end(&Standing::default()));
                        "writing the last while…".to_owned()
                    }
                    Err(error) => format!("not written: {error:#}"),
                }
            }
        };
        update(model, Input::Answer(Text::new(&text)));
    }

    /// Tells what has been written.
    pub(super) fn tell(&mut self, model: &mut Model) {
        let is_over = self.ending.iter().position(Ending::is_over);
        if let Some(ending) = is_over.map(|place| self.ending.remove(place)) {
            // Either is what came of the key, and takes the place of what was answered at once.
            let text = match ending.finish() {
                Ok(written) => format!("written: {}", written.path.display()),
                Err(error) => format!("not written: {error}"),
            };
            update(model, Input::Answer(Text::new(&text)));
        }
    }
}

impl Drop for Writings {
    fn drop(&mut self) {
        for ending in self.ending.drain(..) {
            // The screens have gone: nobody is left to be told.
            if let Err(error) = ending.finish() {
                log::error!("{error}");
            }
        }
    }
}

/// `tracer-HOST-flight-20261122T101322Z.tracer`.
fn named(node: Option<&Node>, now: Timestamp) -> PathBuf {
    let host = node.map_or("", |node| node.host.as_str());
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let host: String =
        host.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    format!("tracer-{host}-flight-{}.tracer", now.strftime("%Y%m%dT%H%M%SZ")).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::named;
    use crate::{event::Text, state::Node};

    #[test]
    fn files_are_named_by_host_and_time_whatever_the_host_is_called() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        for (host, expected) in [
            ("edge-node-3.example.org", "tracer-edge-node-3.example.org-flight-20260921T141320Z.tracer"),
            ("../../etc/x y", "tracer-.._.._etc_x_y-flight-20260921T141320Z.tracer"),
            ("", "tracer--flight-20260921T141320Z.tracer"),
        ] {
            let node = Node { kernel: Text::new("6.12"), host: Text::new(host) };
            assert_eq!(named(Some(&node), now), Path::new(expected), "{host}");
        }
    }
}
