//! Findings in every format.

use std::io;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;

use super::{packets, parsed, table};
use crate::output::{
    Printer,
    export::{Export, ExportFormat},
    tests::finding::changes,
};

pub(super) fn exported(format: ExportFormat) -> Vec<u8> {
    let mut export = Export::new(format, Vec::new()).unwrap();
    for change in changes() {
        export.add_finding(&change).unwrap();
    }
    assert_eq!(export.rows(), changes().len() as u64);
    export.finish().unwrap()
}

fn json_lines() -> Vec<String> {
    let mut printer = Printer::json(Vec::new(), io::sink());
    for change in changes() {
        printer.print_finding(&change).unwrap();
    }
    let text = String::from_utf8(printer.into_writers().0).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn json_lines_are_those_of_events() {
    let written = String::from_utf8(exported(ExportFormat::JsonLines)).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), json_lines());
}

#[test]
fn the_table_has_a_column_for_everything() {
    table::compare(exported(ExportFormat::Parquet), &json_lines());
    let rows = table::rows(exported(ExportFormat::Parquet));
    assert!(rows.iter().all(|row| !row.contains_key("rest")), "{rows:?}");
}

#[test]
fn packets_are_commented_by_what_is_wrong() {
    let (interfaces, packets) = packets::read(&exported(ExportFormat::Packets));
    assert_eq!((interfaces.len(), packets.len()), (2, changes().len()));
    for (packet, (change, line)) in packets.iter().zip(changes().iter().zip(json_lines())) {
        let comment = EnhancedPacketOption::Comment(change.finding.named().into());
        assert_eq!(packet.options, [comment]);
        let begin = packet.data.iter().position(|&byte| byte == b'{').unwrap();
        assert_eq!(parsed(str::from_utf8(&packet.data[begin..]).unwrap()), parsed(&line));
    }
    // That one is about a neighbour, whose address is told as one.
    assert!(packets[2].data.windows(8).any(|bytes| bytes == [0, 20, 0, 4, 10, 0, 0, 9]));
}
