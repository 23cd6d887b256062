//! What would be done, and what it could be done with, as they are shown.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::spec::DiskFormat;
use crate::service::inventory::Inventory;
use crate::service::os_profiles::OsProfile;
use crate::service::vm::{
    Check, CheckOutcome, CreateOptions, CreatePlan, DeletionItem, DeletionPlan, Medium, MediumKind,
};

use super::{enums, vm_out};

/// The VM as it would be: what only a VM that exists has is left out.
pub(super) fn create(plan: &CreatePlan, inventory: &Inventory) -> wire::VirtualMachine {
    let status = vm_out::status(&plan.vm);
    wire::VirtualMachine {
        id: String::new(),
        created_at: None.into(),
        updated_at: None.into(),
        resource_version: String::new(),
        allowed_actions: Vec::new(),
        status: wire::VmStatus { state: status.state, node_id: status.node_id, ..Default::default() }.into(),
        preflight: plan.checks.iter().map(check).collect(),
        ..vm_out::vm(&plan.vm, inventory)
    }
}

fn check(check: &Check) -> wire::PreflightCheck {
    let outcome = match check.outcome {
        CheckOutcome::Passed => wire::preflight_check::Outcome::OUTCOME_PASSED,
        CheckOutcome::Warning => wire::preflight_check::Outcome::OUTCOME_WARNING,
    };
    wire::PreflightCheck {
        name: check.subject.word().to_owned(),
        outcome: outcome.into(),
        field: check.field.clone(),
        message: check.message.clone(),
        remedy: check.remedy.clone(),
        ..Default::default()
    }
}

pub(super) fn delete(plan: &DeletionPlan) -> wire::DeleteVMResponse {
    wire::DeleteVMResponse {
        gone: plan.gone.iter().map(item).collect(),
        kept: plan.kept.iter().map(item).collect(),
        reclaimed_bytes: plan.reclaimed_bytes(),
        ..Default::default()
    }
}

fn item(item: &DeletionItem) -> wire::DeletionItem {
    wire::DeletionItem {
        kind: item.kind.word().to_owned(),
        name: item.name.clone(),
        reason: item.reason.clone(),
        size_bytes: item.size_bytes.unwrap_or(0),
        size_unknown: item.size_bytes.is_none(),
        ..Default::default()
    }
}

pub(super) fn options(options: CreateOptions) -> wire::CreateOptions {
    wire::CreateOptions {
        pools: options
            .pools
            .into_iter()
            .map(|pool| wire::PoolOption {
                id: pool.id.to_string(),
                name: pool.name,
                active: pool.active,
                capacity_bytes: pool.capacity_bytes,
                available_bytes: pool.available_bytes,
                ..Default::default()
            })
            .collect(),
        networks: options
            .networks
            .into_iter()
            .map(|network| wire::NetworkOption {
                id: network.id.to_string(),
                name: network.name,
                active: network.active,
                ..Default::default()
            })
            .collect(),
        bridges: options.bridges,
        media: options.media.into_iter().map(medium).collect(),
        kvm: options.kvm,
        uefi: options.uefi,
        secure_boot: options.secure_boot,
        tpm: options.tpm,
        cpu_models: options.cpu_models,
        max_cores: options.max_cores,
        memory_free_mib: options.memory_free_bytes >> 20,
        host_threads: options.host_threads,
        os_profiles: options.os_profiles.iter().map(profile).collect(),
        ..Default::default()
    }
}

fn medium(medium: Medium) -> wire::MediaOption {
    let kind = match medium.kind {
        MediumKind::Disk => wire::media_option::Kind::KIND_DISK,
        MediumKind::Iso => wire::media_option::Kind::KIND_ISO,
    };
    let format = match medium.format {
        Some(DiskFormat::Qcow2) => wire::DiskFormat::QCOW2,
        Some(DiskFormat::Raw) => wire::DiskFormat::RAW,
        None => wire::DiskFormat::DISK_FORMAT_UNSPECIFIED,
    };
    wire::MediaOption {
        path: medium.path,
        pool: medium.pool,
        kind: kind.into(),
        format: format.into(),
        capacity_bytes: medium.capacity_bytes,
        allocated_bytes: medium.allocated_bytes,
        used_by: medium.used_by,
        ..Default::default()
    }
}

fn profile(profile: &OsProfile) -> wire::OsProfile {
    wire::OsProfile {
        id: profile.id.clone(),
        label: profile.label.clone(),
        family: enums::family_out(profile.family).into(),
        variant: profile.variant.clone(),
        cores: profile.cores,
        memory_mib: profile.memory_mib,
        disk_gib: profile.disk_gib,
        firmware: enums::firmware_out(profile.firmware).into(),
        tpm: profile.tpm,
        ..Default::default()
    }
}
