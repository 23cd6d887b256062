//! VMs as bytes on the wire, made once and kept inside the picture's immutable [`Vm`]: a list of a
//! thousand VMs is a thousand copies of bytes, not a thousand serializations.
//!
//! What is measured changes each tick and is no part of the kept bytes; it is put in as they are
//! sent. In binary that is a second `status` field behind the first, which every decoder merges
//! (the protobuf encoding says so); in JSON the kept text ends inside the status object.

use std::collections::BTreeMap;
use std::sync::Arc;

use buffa::Message as _;
use buffa::encoding::encode_varint;
use bytes::Bytes;
use connectrpc::{CodecFormat, ConnectError, Encodable};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::id::VmId;
use crate::service::core::Core;
use crate::service::inventory::{Usage, Vm};
use crate::service::requests::Page;

use super::vm_out;
use super::watch::{Frame, Kind};

/// `VirtualMachine.status`.
const STATUS: u32 = 8;
/// `VmStatus.resource_usage`.
const RESOURCE_USAGE: u32 = 4;
/// `ListVMsResponse.vms`, `.next_page_token`, `.total_count`.
const LIST: (u32, u32, u32) = (1, 2, 3);
/// `VMUpdate.type`, `.vm`, `.version`.
const UPDATE: (u32, u32, u32) = (1, 2, 100);

/// Bytes of a row, for the first allocation.
const ROW_GUESS: usize = 4096;

/// A VM with what is measured of it, ready to be written.
pub(super) struct Row {
    vm: Arc<Vm>,
    usage: Arc<BTreeMap<VmId, Usage>>,
    core: Arc<Core>,
}

impl Row {
    pub fn new(core: &Arc<Core>, vm: Arc<Vm>) -> Self {
        Self { vm, usage: core.inventory.usage(), core: Arc::clone(core) }
    }

    fn usage(&self) -> Option<&Usage> {
        self.vm.record.state.holds_resources().then(|| self.usage.get(&self.vm.record.id)).flatten()
    }

    /// The whole message, for answers that are kept.
    pub fn message(&self) -> wire::VirtualMachine {
        let mut status = vm_out::status(&self.vm);
        status.resource_usage = self.usage().map(vm_out::usage).into();
        wire::VirtualMachine { status: status.into(), ..vm_out::vm(&self.vm, &self.core.inventory) }
    }

    fn put_proto(&self, out: &mut Vec<u8>) {
        let kept = self.vm.wire.proto.get_or_init(|| {
            let mut message = vm_out::vm(&self.vm, &self.core.inventory);
            message.status = vm_out::status(&self.vm).into();
            message.encode_to_vec().into()
        });
        out.extend_from_slice(kept);
        if let Some(usage) = self.usage() {
            let mut status = Vec::with_capacity(96);
            put_bytes(&mut status, RESOURCE_USAGE, &vm_out::usage(usage).encode_to_vec());
            put_bytes(out, STATUS, &status);
        }
    }

    fn put_json(&self, out: &mut Vec<u8>) -> Result<(), ConnectError> {
        let kept = match self.vm.wire.json.get() {
            Some(kept) => kept,
            None => {
                let made = open_json(&self.vm, &self.core).map_err(unwritable)?;
                self.vm.wire.json.get_or_init(|| made)
            }
        };
        out.extend_from_slice(kept);
        if let Some(usage) = self.usage() {
            out.extend_from_slice(b",\"resourceUsage\":");
            serde_json::to_writer(&mut *out, &vm_out::usage(usage)).map_err(unwritable)?;
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }
}

/// The JSON of a VM up to the last field of its status, both objects still open. Neither is ever
/// empty: a VM has an id, a status a node.
fn open_json(vm: &Vm, core: &Core) -> serde_json::Result<Bytes> {
    let mut text = serde_json::to_vec(&vm_out::vm(vm, &core.inventory))?;
    text.pop();
    text.extend_from_slice(b",\"status\":");
    serde_json::to_writer(&mut text, &vm_out::status(vm))?;
    text.pop();
    Ok(text.into())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unwritable(why: serde_json::Error) -> ConnectError {
    tracing::error!(%why, "a VM cannot be written as JSON");
    ConnectError::internal("internal error; the log holds its cause")
}

/// A length-delimited field.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    encode_varint(u64::from(field << 3 | 2), out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A varint field; 0 is left out.
pub(super) fn put_number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        encode_varint(u64::from(field << 3), out);
        encode_varint(number, out);
    }
}

impl Encodable<wire::VirtualMachine> for Row {
    fn encode(&self, codec: CodecFormat) -> Result<Bytes, ConnectError> {
        let mut out = Vec::with_capacity(ROW_GUESS);
        match codec {
            CodecFormat::Proto => self.put_proto(&mut out),
            CodecFormat::Json => self.put_json(&mut out)?,
            other => return Err(unknown(other)),
        }
        Ok(out.into())
    }
}

fn unknown(codec: CodecFormat) -> ConnectError {
    ConnectError::unimplemented(format!("the codec {codec:?}"))
}

/// A page of VMs.
pub(super) struct Rows {
    page: Page<Row>,
}

impl Rows {
    pub fn new(core: &Arc<Core>, page: Page<Arc<Vm>>) -> Self {
        let usage = core.inventory.usage();
        let row = |vm| Row { vm, usage: Arc::clone(&usage), core: Arc::clone(core) };
        Self {
            page: Page {
                items: page.items.into_iter().map(row).collect(),
                next_page_token: page.next_page_token,
                total_count: page.total_count,
            },
        }
    }
}

impl Encodable<wire::ListVMsResponse> for Rows {
    fn encode(&self, codec: CodecFormat) -> Result<Bytes, ConnectError> {
        let page = &self.page;
        let mut out = Vec::with_capacity(page.items.len() * ROW_GUESS + 64);
        match codec {
            CodecFormat::Proto => {
                let mut one = Vec::with_capacity(ROW_GUESS);
                for row in &page.items {
                    one.clear();
                    row.put_proto(&mut one);
                    put_bytes(&mut out, LIST.0, &one);
                }
                if !page.next_page_token.is_empty() {
                    put_bytes(&mut out, LIST.1, page.next_page_token.as_bytes());
                }
                put_number(&mut out, LIST.2, page.total_count as u64);
            }
            CodecFormat::Json => {
                let mut fields = Fields::begin(&mut out);
                if !page.items.is_empty() {
                    fields.name("vms");
                    fields.out.push(b'[');
                    for (index, row) in page.items.iter().enumerate() {
                        if index > 0 {
                            fields.out.push(b',');
                        }
                        row.put_json(fields.out)?;
                    }
                    fields.out.push(b']');
                }
                if !page.next_page_token.is_empty() {
                    fields.text("nextPageToken", &page.next_page_token);
                }
                if page.total_count != 0 {
                    fields.name("totalCount");
                    fields.out.extend_from_slice(page.total_count.to_string().as_bytes());
                }
                fields.end();
            }
            other => return Err(unknown(other)),
        }
        Ok(out.into())
    }
}

/// One message of a watch of VMs.
pub(super) struct RowFrame {
    frame: Frame<Vm>,
    core: Arc<Core>,
}

impl RowFrame {
    pub fn new(core: &Arc<Core>, frame: Frame<Vm>) -> Self {
        Self { frame, core: Arc::clone(core) }
    }

    fn kind(&self) -> wire::vm_update::UpdateType {
        match self.frame.kind {
            Kind::Added => wire::vm_update::UpdateType::ADDED,
            Kind::Modified => wire::vm_update::UpdateType::MODIFIED,
            Kind::Deleted => wire::vm_update::UpdateType::DELETED,
            Kind::Synced => wire::vm_update::UpdateType::SYNCED,
            Kind::Resync => wire::vm_update::UpdateType::RESYNC,
            Kind::Heartbeat => wire::vm_update::UpdateType::HEARTBEAT,
        }
    }

    fn row(&self) -> Option<Row> {
        self.frame.item.as_ref().map(|vm| Row::new(&self.core, Arc::clone(vm)))
    }
}

impl Encodable<wire::VMUpdate> for RowFrame {
    fn encode(&self, codec: CodecFormat) -> Result<Bytes, ConnectError> {
        let mut out = Vec::with_capacity(ROW_GUESS);
        let kind = self.kind();
        match codec {
            CodecFormat::Proto => {
                put_number(&mut out, UPDATE.0, u64::try_from(kind as i32).unwrap_or_default());
                if let Some(row) = self.row() {
                    let mut one = Vec::with_capacity(ROW_GUESS);
                    row.put_proto(&mut one);
                    put_bytes(&mut out, UPDATE.1, &one);
                }
                put_number(&mut out, UPDATE.2, self.frame.version);
            }
            CodecFormat::Json => {
                let mut fields = Fields::begin(&mut out);
                if kind != wire::vm_update::UpdateType::ADDED {
                    fields.text("type", buffa::Enumeration::proto_name(&kind));
                }
                if let Some(row) = self.row() {
                    fields.name("vm");
                    row.put_json(fields.out)?;
                }
                fields.text("version", &self.frame.version.to_string());
                fields.end();
            }
            other => return Err(unknown(other)),
        }
        Ok(out.into())
    }
}

/// Writes the fields of one JSON object. Names and texts hold nothing that needs escaping: they
/// are ours, and tokens are base64.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Fields<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, any: false }
    }

    fn name(&mut self, name: &str) {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    fn end(self) {
        self.out.push(b'}');
    }
}
