//! A finding is called the same from its first sight to its end: who reads its lines knows it by its id and whom it is
//! about, however many that are by now.

use super::{Finding, finding::named};

/// Calls each of these as it was called before, if it was there.
pub(super) fn as_before(findings: &mut [Finding], before: &[Finding]) {
    let before = named(before);
    for finding in findings {
        if let Some(known) = before.get(&finding.name()) {
            finding.who.clone_from(&known.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::as_before;
    use crate::{
        findings::{About, Finding, Severity},
        probe::table::Family,
    };

    #[test]
    fn what_was_there_keeps_its_name_and_what_is_new_has_its_own() {
        let finding = |family, who: &str| {
            Finding::new("id", About::Family(family), Severity::Warning, who.to_owned(), String::new())
        };
        let before = [finding(Family::Ipvs, "10.0.0.0/31")];
        let mut now = [finding(Family::Ipvs, "10.0.0.0/24"), finding(Family::Conntrack, "10.1.0.1")];
        as_before(&mut now, &before);
        assert_eq!(now.map(|finding| finding.who), ["10.0.0.0/31", "10.1.0.1"]);
    }
}
