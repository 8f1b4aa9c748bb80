//! Which files belong to one session, and in which order.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use super::{
    TapeError,
    track::{Part, Track},
};
use crate::session::OpenError;

/// Opens files and puts those of one session together, sessions in the order of their first files.
pub(super) fn tracks(paths: &[PathBuf]) -> Result<Vec<Track>, TapeError> {
    refuse_twice(paths)?;
    let mut sessions: Vec<Vec<Part>> = Vec::new();
    for path in paths {
        let part = Part::open(path.clone())?;
        let id = part.opening.session.map(|session| session.id);
        let same = sessions.iter_mut().find(|parts| {
            id.is_some()
                && parts.first().and_then(|first| first.opening.session).map(|session| session.id) == id
        });
        match same {
            Some(parts) => parts.push(part),
            None => sessions.push(vec![part]),
        }
    }
    sessions.into_iter().map(track).collect()
}

/// The track of one session's files.
fn track(mut parts: Vec<Part>) -> Result<Track, TapeError> {
    parts.sort_by_key(Part::number);
    for pair in parts.windows(2) {
        if let [first, second] = pair
            && first.number() == second.number()
        {
            return Err(TapeError::Twice { first: first.path.clone(), second: second.path.clone() });
        }
    }
    Ok(Track::new(parts))
}

/// Fails if a file is named twice, by whatever names.
fn refuse_twice(paths: &[PathBuf]) -> Result<(), TapeError> {
    let mut known: Vec<((u64, u64), &PathBuf)> = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let identity = (metadata.dev(), metadata.ino());
        if let Some((_, first)) = known.iter().find(|(of, _)| *of == identity) {
            return Err(TapeError::Twice { first: (*first).clone(), second: path.clone() });
        }
        known.push((identity, path));
    }
    Ok(())
}
