//! Requests about VMs, read.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use serde_json::Value;

use crate::model::id::{ProjectId, VmId};
use crate::model::spec::VmSpec;
use crate::model::validate::quoted;
use crate::model::vm::DeletionProtection;
use crate::service::error::ServiceError;
use crate::service::requests::{
    CreateVm, DeleteVm, ListEvents, ListVms, OrderBy, SpecPart, StopVm, UpdateVm, WatchVms,
};

use super::read::{Reader, sorted};
use super::{enums, spec_in, spec_out, unoffered};

/// The fields of an update and what of the request each mask path sets.
const FACTS: [&str; 7] =
    ["name", "description", "labels", "autostart", "deletion_protection", "start_order", "start_delay_sec"];

/// Mask paths below `spec`, which are also what a request without a mask is searched for.
const PARTS: [(&str, SpecPart); 17] = [
    ("spec", SpecPart::Whole),
    ("spec.cpu", SpecPart::Cpu),
    ("spec.cpu.cores", SpecPart::CpuCores),
    ("spec.memory", SpecPart::Memory),
    ("spec.memory.size_mib", SpecPart::MemorySize),
    ("spec.disks", SpecPart::Disks),
    ("spec.cdroms", SpecPart::Cdroms),
    ("spec.nics", SpecPart::Nics),
    ("spec.tpm", SpecPart::Tpm),
    ("spec.watchdog", SpecPart::Watchdog),
    ("spec.rng", SpecPart::Rng),
    ("spec.serial", SpecPart::Serial),
    ("spec.firmware", SpecPart::Firmware),
    ("spec.boot", SpecPart::Boot),
    ("spec.display", SpecPart::Display),
    ("spec.agent", SpecPart::Agent),
    ("spec.guest_os", SpecPart::GuestOs),
];

/// The VM that a request names.
pub(super) fn id(text: &str) -> Result<VmId, ServiceError> {
    let mut reader = Reader::default();
    let id = reader.id("id", text);
    known(reader, id)
}

/// The VM that a request names as `vm_id`.
pub(super) fn vm_id(text: &str) -> Result<VmId, ServiceError> {
    let mut reader = Reader::default();
    let id = reader.id("vm_id", text);
    known(reader, id)
}

/// An id without which nothing else matters.
fn known<T>(reader: Reader, id: Option<T>) -> Result<T, ServiceError> {
    reader.end(())?;
    id.ok_or_else(|| ServiceError::invalid("id", "is required: a UUID"))
}

pub(super) fn create(sent: &wire::CreateVMRequest) -> Result<CreateVm, ServiceError> {
    unoffered::refuse(&sent.spec)?;
    if !sent.template_id.is_empty() {
        return Err(ServiceError::Unimplemented {
            field: "template_id".to_owned(),
            message: "is not offered by this version; leave it out".to_owned(),
        });
    }
    let mut reader = Reader::default();
    let wanted = CreateVm {
        name: sent.name.clone(),
        project_id: reader.project("project_id", &sent.project_id),
        description: sent.description.clone(),
        labels: sorted(&sent.labels),
        spec: spec_in::spec(&mut reader, &sent.spec),
        start_on_create: sent.start_on_create,
        autostart: sent.autostart,
        deletion_protection: DeletionProtection::from_flag(sent.deletion_protection.unwrap_or(false)),
        node_id: reader.optional_id("node_id", &sent.node_id),
    };
    // What the service would find wrong is told along with it.
    if !reader.found.is_empty() {
        reader.found.extend(crate::model::validate::vm_create(
            &wanted.name,
            &wanted.description,
            &wanted.labels,
            &wanted.spec,
        ));
    }
    reader.end(wanted)
}

fn project_filter(reader: &mut Reader, text: &str) -> Option<ProjectId> {
    (!text.is_empty()).then(|| reader.project("project_id", text))
}

pub(super) fn list(sent: &wire::ListVMsRequest) -> Result<ListVms, ServiceError> {
    let mut reader = Reader::default();
    let wanted = ListVms {
        project_id: project_filter(&mut reader, &sent.project_id),
        labels: sorted(&sent.labels),
        states: sent
            .states
            .iter()
            .enumerate()
            .map(|(index, state)| enums::state_filter_in(reader.known(&format!("states[{index}]"), *state)))
            .collect(),
        node_id: reader.optional_id("node_id", &sent.node_id),
        page_size: sent.page_size,
        page_token: sent.page_token.clone(),
        order_by: order_by(&mut reader, &sent.order_by),
    };
    reader.end(wanted)
}

fn order_by(reader: &mut Reader, sent: &str) -> OrderBy {
    match sent {
        "" | "name" | "name asc" => OrderBy::Name,
        "name desc" => OrderBy::NameDesc,
        "created_at" | "created_at asc" => OrderBy::CreatedAt,
        "created_at desc" => OrderBy::CreatedAtDesc,
        other => {
            reader.wrong(
                "order_by",
                format!(
                    "must be \"name\" or \"created_at\", each also with \" desc\" behind it; {} was sent",
                    quoted(other)
                ),
            );
            OrderBy::Name
        }
    }
}

/// `present`: the VM's specification now, over which a request without a mask is laid.
pub(super) fn update(sent: &wire::UpdateVMRequest, present: &VmSpec) -> Result<UpdateVm, ServiceError> {
    unoffered::refuse(&sent.spec)?;
    let mut reader = Reader::default();
    let mut parts = Vec::new();
    let mask: Vec<String> = match sent.update_mask.as_option().filter(|mask| !mask.is_empty()) {
        Some(mask) => mask.iter().cloned().collect(),
        None => present_fields(sent)?,
    };
    let has_mask = sent.update_mask.as_option().is_some_and(|mask| !mask.is_empty());
    let mut wanted = UpdateVm {
        resource_version: (!sent.resource_version.is_empty()).then(|| sent.resource_version.clone()),
        ..UpdateVm::default()
    };
    for path in &mask {
        match path.as_str() {
            "name" => wanted.name = Some(sent.name.clone()),
            "description" => wanted.description = Some(sent.description.clone()),
            "labels" => wanted.labels = Some(sorted(&sent.labels)),
            "autostart" => wanted.autostart = Some(sent.autostart.unwrap_or(false)),
            "deletion_protection" => {
                let on = sent.deletion_protection.unwrap_or(false);
                wanted.deletion_protection = Some(DeletionProtection::from_flag(on));
            }
            "start_order" => wanted.start_order = Some(sent.start_order),
            "start_delay_sec" => wanted.start_delay_sec = Some(sent.start_delay_sec),
            other => match PARTS.iter().find(|(known, _)| *known == other) {
                Some((_, part)) => parts.push(*part),
                None => reader.wrong(
                    "update_mask",
                    format!(
                        "{} is not a path of it; known are {}",
                        quoted(other),
                        FACTS.into_iter().chain(PARTS.into_iter().map(|(path, _)| path)).collect::<Vec<_>>().join(", ")
                    ),
                ),
            },
        }
    }
    if !parts.is_empty() {
        let spec =
            if has_mask { sent.spec.as_option().cloned().unwrap_or_default() } else { laid_over(present, sent)? };
        wanted.spec = Some((spec_in::spec(&mut reader, &spec), parts));
    }
    reader.end(wanted)
}

fn json(value: &impl serde::Serialize) -> Result<Value, ServiceError> {
    serde_json::to_value(value)
        .map_err(|why| ServiceError::Internal(format!("the request cannot be written as JSON: {why}")))
}

/// The paths of what is present and not empty.
fn present_fields(sent: &wire::UpdateVMRequest) -> Result<Vec<String>, ServiceError> {
    let mut paths = Vec::new();
    let mut add = |path: &str, there: bool| {
        if there {
            paths.push(path.to_owned());
        }
    };
    add("name", !sent.name.is_empty());
    add("description", !sent.description.is_empty());
    add("labels", !sent.labels.is_empty());
    add("autostart", sent.autostart.is_some());
    add("deletion_protection", sent.deletion_protection.is_some());
    add("start_order", sent.start_order.is_some());
    add("start_delay_sec", sent.start_delay_sec.is_some());
    if let Some(spec) = sent.spec.as_option()
        && let Value::Object(fields) = json(spec)?
    {
        for name in fields.keys() {
            let path = if name == "guestOs" { "spec.guest_os".to_owned() } else { format!("spec.{name}") };
            paths.push(path);
        }
    }
    Ok(paths)
}

/// What is sent, over what is: messages field by field, lists and values whole.
fn laid_over(present: &VmSpec, sent: &wire::UpdateVMRequest) -> Result<wire::VmSpec, ServiceError> {
    let mut under = json(&spec_out::spec(present))?;
    lay(&mut under, json(&*sent.spec)?);
    serde_json::from_value(under).map_err(|why| ServiceError::Internal(format!("a merged specification: {why}")))
}

fn lay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

pub(super) fn delete(sent: &wire::DeleteVMRequest) -> DeleteVm {
    DeleteVm {
        force: sent.force,
        delete_volumes: sent.delete_volumes,
        remove_from_inventory_only: sent.remove_from_inventory_only,
    }
}

pub(super) fn stop(sent: &wire::StopVMRequest) -> StopVm {
    StopVm { force: sent.force, timeout_sec: sent.timeout_sec }
}

/// The project that an adopted VM will belong to.
pub(super) fn project(text: &str) -> Result<Option<ProjectId>, ServiceError> {
    let mut reader = Reader::default();
    let project = project_filter(&mut reader, text);
    reader.end(project)
}

pub(super) fn events(sent: &wire::ListVMEventsRequest) -> Result<(VmId, ListEvents), ServiceError> {
    let mut reader = Reader::default();
    let id = reader.id::<VmId>("vm_id", &sent.vm_id);
    let severity = reader.severity("severity", &sent.severity);
    let since = reader.moment("since", &sent.since);
    let id = known(reader, id)?;
    let kinds = if sent.r#type.is_empty() { Vec::new() } else { vec![sent.r#type.clone()] };
    Ok((id, ListEvents { resource_id: Some(id.to_string()), kinds, severity, limit: sent.limit, since }))
}

pub(super) fn watch(sent: &wire::WatchVMsRequest) -> Result<WatchVms, ServiceError> {
    let mut reader = Reader::default();
    let wanted = WatchVms {
        node_id: reader.optional_id("node_id", &sent.node_id),
        project_id: project_filter(&mut reader, &sent.project_id),
        labels: sorted(&sent.labels),
    };
    reader.end(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{Cpu, Memory};
    use crate::model::units::Mib;

    fn present() -> VmSpec {
        VmSpec {
            cpu: Cpu { cores: 4, sockets: 2, ..Cpu::default() },
            memory: Memory { size: Mib(4096), ballooning: Some(false), ..Memory::default() },
            ..VmSpec::default()
        }
    }

    fn request(json: &str) -> UpdateVm {
        let sent = serde_json::from_str(json).expect("a request");
        update(&sent, &present()).expect("a request that can be read")
    }

    #[test]
    fn without_a_mask_what_is_present_is_set_and_the_rest_left_alone() {
        let wanted = request(r#"{"description": "x", "spec": {"memory": {"sizeMib": "8192"}}}"#);
        assert_eq!(wanted.description.as_deref(), Some("x"));
        assert_eq!((wanted.name, wanted.labels, wanted.autostart), (None, None, None));
        let (spec, parts) = wanted.spec.expect("a specification");
        assert_eq!(parts, [SpecPart::Memory]);
        assert_eq!((spec.memory.size, spec.memory.ballooning), (Mib(8192), Some(false)));
    }

    #[test]
    fn with_a_mask_exactly_the_named_fields_are_set_and_empty_ones_cleared() {
        let wanted = request(
            r#"{"updateMask": "description,labels,startOrder,spec.cpu.cores", "name": "ignored",
                "spec": {"cpu": {"cores": 8}}}"#,
        );
        assert_eq!(wanted.name, None);
        assert_eq!(wanted.description.as_deref(), Some(""));
        assert_eq!(wanted.labels.map(|labels| labels.len()), Some(0));
        assert_eq!(wanted.start_order, Some(None));
        assert_eq!(wanted.spec.map(|(spec, parts)| (spec.cpu.cores, parts)), Some((8, vec![SpecPart::CpuCores])));
    }

    #[test]
    fn a_path_that_is_not_of_the_mask_is_named() {
        let sent = serde_json::from_str(r#"{"updateMask": "status"}"#).expect("a request");
        let Err(ServiceError::Invalid(found)) = update(&sent, &present()) else { panic!("it was taken") };
        assert!(found[0].field == "update_mask" && found[0].description.contains("\"status\""), "{found:?}");
    }

    #[test]
    fn every_field_of_a_specification_is_a_path() {
        let whole = spec_out::spec(&present());
        for name in json(&whole).expect("JSON").as_object().expect("an object").keys() {
            let snake = if name == "guestOs" { "guest_os" } else { name };
            assert!(PARTS.iter().any(|(path, _)| *path == format!("spec.{snake}")), "{name} cannot be updated");
        }
    }
}
