//! Who may do what. The contract declares the privilege of every method; this is the one table that
//! says which role has which privilege, and everything else asks it.

/// What a user may do. Ordered: each may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}

impl Role {
    /// As it is written on the command line and in sentences.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// What a caller does, as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    Anyone,
    SignedIn,
    VmRead,
    NodeRead,
    OperationRead,
    MetricRead,
    EventRead,
    ServerRead,
    VmPower,
    VmCreate,
    VmUpdate,
    VmDelete,
    VmConsole,
    VmMedia,
    OperationCancel,
    HostPaths,
    VmAdopt,
    NodeManage,
    UserManage,
    AuditRead,
    StateBackup,
    VmProtect,
}

/// What a privilege asks of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// An identity of whatever role.
    Identity,
    Role(Role),
}

impl Privilege {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Anyone,
        Self::SignedIn,
        Self::VmRead,
        Self::NodeRead,
        Self::OperationRead,
        Self::MetricRead,
        Self::EventRead,
        Self::ServerRead,
        Self::VmPower,
        Self::VmCreate,
        Self::VmUpdate,
        Self::VmDelete,
        Self::VmConsole,
        Self::VmMedia,
        Self::OperationCancel,
        Self::HostPaths,
        Self::VmAdopt,
        Self::NodeManage,
        Self::UserManage,
        Self::AuditRead,
        Self::StateBackup,
        Self::VmProtect,
    ];

    /// The table.
    #[must_use]
    pub fn need(self) -> Need {
        match self {
            Self::Anyone => Need::Nothing,
            Self::SignedIn => Need::Identity,
            Self::VmRead
            | Self::NodeRead
            | Self::OperationRead
            | Self::MetricRead
            | Self::EventRead
            | Self::ServerRead => Need::Role(Role::Viewer),
            Self::VmPower
            | Self::VmCreate
            | Self::VmUpdate
            | Self::VmDelete
            | Self::VmConsole
            | Self::VmMedia
            | Self::OperationCancel => Need::Role(Role::Operator),
            Self::HostPaths
            | Self::VmAdopt
            | Self::NodeManage
            | Self::UserManage
            | Self::AuditRead
            | Self::StateBackup
            | Self::VmProtect => Need::Role(Role::Admin),
        }
    }

    /// Whether `role` has it.
    #[must_use]
    pub fn is_of(self, role: Role) -> bool {
        match self.need() {
            Need::Nothing | Need::Identity => true,
            Need::Role(least) => role >= least,
        }
    }
}

/// Bounds of what an operator's VMs use in all; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    pub vms: u32,
    pub vcpus: u32,
    pub memory_mib: u64,
    /// Disks that were made for the VMs.
    pub disk_gib: u64,
}

/// What a caller may do in a method beyond being let into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub role: Role,
    quota: Quota,
}

impl Rights {
    /// Those of an administrator, and of this server itself.
    pub const WHOLE: Self = Self { role: Role::Admin, quota: Quota { vms: 0, vcpus: 0, memory_mib: 0, disk_gib: 0 } };

    #[must_use]
    pub fn new(role: Role, quota: Quota) -> Self {
        Self { role, quota }
    }

    /// Whether they have a privilege.
    #[must_use]
    pub fn has(&self, privilege: Privilege) -> bool {
        privilege.is_of(self.role)
    }

    /// What bounds the caller's VMs; `None`: nothing.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let bounded = match self.role {
            Role::Viewer | Role::Operator => true,
            Role::Admin => false,
        };
        Some(self.quota).filter(|quota| bounded && *quota != Quota::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_ones_below_it_have() {
        for privilege in Privilege::ALL {
            let has = [Role::Viewer, Role::Operator, Role::Admin].map(|role| privilege.is_of(role));
            assert!(has.is_sorted() && has[2], "{privilege:?}: {has:?}");
        }
        assert!(!Privilege::VmPower.is_of(Role::Viewer) && Privilege::VmPower.is_of(Role::Operator));
        assert!(!Privilege::HostPaths.is_of(Role::Operator));
    }

    #[test]
    fn an_administrator_is_bounded_by_nothing() {
        let quota = Quota { vms: 3, ..Quota::default() };
        assert_eq!(Rights::new(Role::Operator, quota).quota(), Some(quota));
        assert_eq!(Rights::new(Role::Operator, Quota::default()).quota(), None);
        assert_eq!(Rights::new(Role::Admin, quota).quota(), None);
        assert!(
            Rights::WHOLE.has(Privilege::HostPaths) && !Rights::new(Role::Operator, quota).has(Privilege::VmProtect)
        );
    }
}
