//! Records arranged and put back.

use super::*;
use crate::session::arrangement::{self, Arranger};

/// Records of a few kinds and lengths, with any bytes behind their headers.
fn any_records() -> impl Strategy<Value = Vec<u8>> {
    let record = (0_u16..4, 0_usize..4, any::<u64>(), prop::collection::vec(any::<u8>(), 24));
    prop::collection::vec(record, 1..300).prop_map(|records| {
        let encode = |(kind, more, time_ns, bytes): (u16, usize, u64, Vec<u8>)| {
            let body = &bytes[..more * 8];
            let length_bytes = u16::try_from(24 + body.len()).unwrap();
            let header = RecordHeader { time_ns, kind, length_bytes, ..RecordHeader::default() };
            [header.as_bytes(), body].concat()
        };
        records.into_iter().flat_map(encode).collect()
    })
}

fn arranged(records: &[u8]) -> Vec<u8> {
    Arranger::default().arrange(records).unwrap().to_vec()
}

/// An arranged run as it is before it is cut into records.
fn run_of(content: &[u8]) -> Vec<u8> {
    content[24..].to_vec()
}

fn content_of(run: &[u8]) -> Vec<u8> {
    let length_bytes = u16::try_from((24 + run.len()).next_multiple_of(8)).unwrap();
    let header = RecordHeader { kind: arrangement::KIND, length_bytes, ..RecordHeader::default() };
    let mut content = [header.as_bytes(), run].concat();
    content.resize(length_bytes.into(), 0);
    content
}

#[test]
fn what_hardly_changes_takes_hardly_any_room() {
    let steady: Vec<u8> = (0..10_000).flat_map(|step| record(1_000_000 + step * 20_000)).collect();
    let content = arranged(&steady);
    assert_eq!(arrangement::restore(&content).unwrap(), steady);
    // Three bytes of time for each, less than 1 % for all else.
    assert!(content.len() < 30_300, "{} of {} bytes", content.len(), steady.len());
}

#[test]
fn long_runs_go_on_in_several_records() {
    let scattered: Vec<u8> =
        (0..40_000_u64).flat_map(|step| record(step.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let content = arranged(&scattered);
    assert!(content.len() > 4 * usize::from(u16::MAX));
    assert_eq!(arrangement::restore(&content).unwrap(), scattered);
}

#[test]
fn what_is_not_made_of_words_is_left_as_it_is() {
    let odd = RecordHeader { length_bytes: 25, ..RecordHeader::default() };
    let odd = [odd.as_bytes(), &[1]].concat();
    assert!(Arranger::default().arrange(&odd).is_none());
    let cut = &record(1)[..20];
    assert!(Arranger::default().arrange(cut).is_none());
    // As many lengths as there are, one after the other.
    let lengths = (3..303_u16).flat_map(|words| {
        let header = RecordHeader { length_bytes: words * 8, ..RecordHeader::default() };
        [header.as_bytes(), &vec![0; usize::from(words) * 8 - 24]].concat()
    });
    let lengths: Vec<u8> = lengths.collect();
    assert!(Arranger::default().arrange(&lengths).is_none());
    assert_eq!(read(&written(&[Block(Bytes::from(lengths.clone()))])).unwrap(), (lengths, vec![]));
}

#[test]
fn runs_that_lie_about_their_numbers_are_refused() {
    let run = run_of(&arranged(&[record(1), record(2), record(3)].concat()));
    assert!(arrangement::restore(&content_of(&run)).is_some());
    // Where each number of the run lies, by the table in the module's text.
    let places = [
        ("version", 0),
        ("groups", 1),
        ("records", 4),
        ("bytes", 8),
        ("stretches", 12),
        ("record", 16),
        ("of a group", 20),
    ];
    for (name, place) in places {
        for lie in [0_u8, 0x7f, 0xff] {
            for width in [1, 4] {
                let mut lying = run.clone();
                lying[place..place + width].fill(lie);
                assert!(lying == run || arrangement::restore(&content_of(&lying)).is_none(), "{name}: {lie}");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_put_back_is_what_was_arranged(records in any_records()) {
        let content = arranged(&records);
        prop_assert!(arrangement::is_arranged(&content));
        prop_assert_eq!(&arrangement::restore(&content).unwrap()[..], &records[..]);
        prop_assert_eq!(read(&written(&[Block(Bytes::from(records.clone()))])).unwrap(), (records, vec![]));
    }

    #[test]
    fn any_run_is_taken_or_refused(run in prop::collection::vec(any::<u8>(), 0..2048)) {
        let records = arrangement::restore(&content_of(&run));
        prop_assert!(records.is_none_or(|records| records.len() <= format::FRAME_LIMIT_BYTES));
    }

    #[test]
    fn a_changed_run_is_taken_or_refused(
        records in any_records(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut content = arranged(&records);
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        let records = arrangement::restore(&content);
        prop_assert!(records.is_none_or(|records| records.len() <= format::FRAME_LIMIT_BYTES));
    }
}
