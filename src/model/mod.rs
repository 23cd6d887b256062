//! What things are and the rules they obey: ids, units, the VM's specification, the node, and
//! `lifecycle`, the one state machine. Pure: no async, no I/O, so that every rule can be tested
//! as a table and asked by every other room.

pub mod access;
pub mod backup;
pub mod definition;
pub mod event;
pub mod id;
pub mod keys;
pub mod lifecycle;
pub mod metric;
pub mod node;
pub mod operation;
pub mod spec;
pub mod spec_diff;
pub mod units;
pub mod unoffered;
pub mod user;
pub mod validate;
pub mod vm;
