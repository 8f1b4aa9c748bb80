//! The sessions of the incidents that everybody can replay: each reads without damage, and what is reported of it is what
//! was reviewed.

use std::{fs, path::Path};

use tracer::{
    output::report::Report,
    session::{SessionFile, SessionReader},
};

#[test]
fn what_is_reported_of_every_incident() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sessions");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tracer"));
    paths.sort();
    assert_eq!(paths.len(), 5, "{paths:?}");
    for path in paths {
        let mut report = Report::new(None);
        let mut reader = SessionReader::open(&path).unwrap();
        for block in &mut reader {
            report.take(&block.unwrap());
        }
        assert_eq!(reader.damage(), [], "{}", path.display());
        assert_eq!(SessionFile::open(&path).unwrap().damage(), [], "{}", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::assert_snapshot!(name, report.markdown().to_string());
    }
}
