//! Entry points, one file a subject. A program's name is its hook's subject and the way it is attached by.

mod call;
mod claim;
mod conntrack;
mod duplicate;
mod icmp;
mod ipvs;
mod ipvs_change;
mod neighbour;
mod owner;
mod retransmit;
mod undo;
