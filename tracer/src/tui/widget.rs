//! Pieces that the screens are made of. Each draws into its area and reads only.

pub(super) mod axis;
pub(super) mod details;
pub(super) mod gauge;
pub(super) mod help;
pub(super) mod lane;
pub(super) mod lines;
pub(super) mod list;
pub(super) mod minute;
pub(super) mod rule;
pub(super) mod sequence;
pub(super) mod sparkline;
pub(super) mod table;
