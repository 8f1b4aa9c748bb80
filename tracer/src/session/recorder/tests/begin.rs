//! Files that the writing thread makes.

use std::fs;

use super::{PATIENCE, block, markers, wait_until};
use crate::session::{Condition, Recorder, RecorderOptions, Rotation, Standing};

#[test]
fn a_name_that_is_taken_gets_a_number_and_a_file_that_is_there_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    fs::write(&path, "another's").unwrap();
    let options = RecorderOptions { path: path.clone(), ..RecorderOptions::default() };
    let standing = Standing::default();
    let mut recorder = Recorder::begin(options, &standing).unwrap();
    // What comes before the file is made waits for it.
    for number in 0..10 {
        recorder.take(&block(number, 40), &standing);
    }
    recorder.close(&standing);
    let status = recorder.finish(PATIENCE);
    assert_eq!((status.lost_records, &status.condition), (0, &Condition::Writing));
    assert_eq!(status.path, directory.path().join("run-2.tracer"));
    assert_eq!(markers(&status.path), ((0..10).collect(), 0));
    assert_eq!(fs::read(&path).unwrap(), b"another's");
}

#[test]
fn parts_keep_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    fs::write(directory.path().join("run.0001.tracer"), "another's").unwrap();
    let rotation = Rotation { max_files: Some(2), ..Rotation::default() };
    let recorder =
        Recorder::begin(RecorderOptions { path, force: false, rotation }, &Standing::default()).unwrap();
    let status = wait_until(&recorder, |status| status.condition.is_over());
    let Condition::Refused(reason) = &status.condition else { panic!("{status:?}") };
    assert!(reason.contains("run.0001.tracer exists already"), "{reason}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_cannot_be_made_is_told_and_what_comes_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        RecorderOptions { path: directory.path().join("gone/run.tracer"), ..RecorderOptions::default() };
    let standing = Standing::default();
    let mut recorder = Recorder::begin(options, &standing).unwrap();
    let status = wait_until(&recorder, |status| status.condition != Condition::Opening);
    let Condition::Refused(reason) = &status.condition else { panic!("{status:?}") };
    assert!(
        reason.starts_with("cannot create the session file ") && reason.contains("gone/run.tracer: "),
        "{reason}"
    );
    recorder.take(&block(0, 40), &standing);
    assert_eq!(recorder.status().lost_records, 1);
    assert_eq!(recorder.finish(PATIENCE).condition, status.condition);
}
