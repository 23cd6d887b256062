//! libvirt's XML, written, read and edited in place. Pure functions: no libvirt call is made here.
//! Everything is written by an escaping writer and read within bounds: the text may be anybody's.

pub mod caps;
mod consoles;
mod devices;
pub mod edit;
#[cfg(test)]
mod golden;
mod host_file;
#[cfg(test)]
mod hostile;
pub mod metadata;
mod prove;
pub mod read;
mod redact;
pub mod storage;
mod tree;
pub mod write;

pub use caps::{Driver, HostProfile};
pub use consoles::{read_consoles, with_medium};
pub use edit::edit_domain;
pub use host_file::HostFile;
pub use metadata::{METADATA_PREFIX, METADATA_URI, read_metadata, write_metadata};
pub use prove::write_proof;
pub use read::{ReadDomain, read_domain};
pub use redact::without_secrets;
pub use write::write_domain;
