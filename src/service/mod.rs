//! The use cases: load, decide, record intent, act, publish. One file a resource. Nothing here
//! knows HTTP, Connect, libvirt or redb; rules live in `model`, this room only applies them.
//!
//! How a change travels:
//!
//! ```text
//! verb ──► decide (model::lifecycle) ──► operation + intent committed ──► hypervisor ──┐
//!                                                                                       ▼
//! watchers ◄── inventory (one live picture) ◄── record, event, result committed ◄── look again
//!                    ▲
//! outside change ────┴── notice ──► reconcile: look again ──► published, then kept
//! ```

pub mod admission;
pub mod auth;
pub mod autostart;
pub mod backup;
pub mod check;
pub mod conditions;
pub mod console;
pub mod core;
pub mod demo;
pub mod error;
pub mod events;
mod host_paths;
pub mod idempotency;
pub mod inventory;
pub mod metrics_history;
pub mod node;
pub mod operations;
pub mod os_profiles;
pub mod paging;
pub mod rebuild;
pub mod reconcile;
pub mod recover;
pub mod requests;
pub mod statistics;
pub mod vm;
