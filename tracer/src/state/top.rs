//! The first entries of a table by a measure.

/// The first `through` entries by a measure, the largest first; equal ones by their keys. Sorting only those keeps a
/// table of a hundred thousand quick to draw.
pub(crate) fn top<'a, K: Ord, V>(
    entries: impl Iterator<Item = (&'a K, &'a V)>,
    measure: impl Fn(&V) -> u64,
    through: usize,
) -> Vec<(&'a K, &'a V)> {
    let mut measured: Vec<_> = entries.map(|(key, value)| (measure(value), key, value)).collect();
    let order =
        |one: &(u64, &K, &V), other: &(u64, &K, &V)| other.0.cmp(&one.0).then_with(|| one.1.cmp(other.1));
    if through < measured.len() {
        measured.select_nth_unstable_by(through, order);
        measured.truncate(through);
    }
    measured.sort_unstable_by(order);
    measured.into_iter().map(|(_, key, value)| (key, value)).collect()
}
