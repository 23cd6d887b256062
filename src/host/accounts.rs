//! Users and groups of this host, from its files: who would run the service, and what a number is called.

use super::{HostRoot, read};

/// The users and groups that the files name. Those of a directory service are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// From `passwd` and `group`.
    #[must_use]
    pub fn read(root: &HostRoot) -> Self {
        let users = read(root.etc.join("passwd"))
            .lines()
            .filter_map(|line| {
                let mut columns = line.split(':');
                let name = columns.next()?.to_owned();
                Some(User { name, uid: columns.nth(1)?.parse().ok()?, gid: columns.next()?.parse().ok()? })
            })
            .collect();
        let groups = read(root.etc.join("group"))
            .lines()
            .filter_map(|line| {
                let mut columns = line.split(':');
                let name = columns.next()?.to_owned();
                let gid = columns.nth(1)?.parse().ok()?;
                let members = columns.next().unwrap_or_default().split(',').map(str::to_owned).collect();
                Some(Group { name, gid, members })
            })
            .collect();
        Self { users, groups }
    }

    /// The number of a user.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.iter().find(|user| user.name == name).map(|user| user.uid)
    }

    /// A user's name, or the number where there is none.
    #[must_use]
    pub fn user_name(&self, uid: u32) -> String {
        self.users.iter().find(|user| user.uid == uid).map_or_else(|| uid.to_string(), |user| user.name.clone())
    }

    /// A group's name, or the number where there is none.
    #[must_use]
    pub fn group_name(&self, gid: u32) -> String {
        self.groups.iter().find(|group| group.gid == gid).map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// Whether the user is in the group, by its account or as a member.
    #[must_use]
    pub fn is_in(&self, user: &str, gid: u32) -> bool {
        self.users.iter().any(|known| known.name == user && known.gid == gid)
            || self.groups.iter().any(|group| group.gid == gid && group.members.iter().any(|member| member == user))
    }

    /// The number of a group.
    #[must_use]
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.name == name).map(|group| group.gid)
    }

    /// Numbers of the groups that the user is in, by its account or as a member.
    #[must_use]
    pub fn groups_of(&self, user: &str) -> Vec<u32> {
        let own = self.users.iter().filter(|known| known.name == user).map(|known| known.gid);
        let member = self.groups.iter().filter(|group| group.members.iter().any(|member| member == user));
        own.chain(member.map(|group| group.gid)).collect()
    }

    /// As [`is_in`](Self::is_in), by the group's name; `None`: there is no such group.
    #[must_use]
    pub fn is_in_named(&self, user: &str, group: &str) -> Option<bool> {
        self.groups.iter().find(|known| known.name == group).map(|known| self.is_in(user, known.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_their_groups_are_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = HostRoot { etc: dir.path().to_owned(), ..HostRoot::default() };
        std::fs::write(
            dir.path().join("passwd"),
            "root:x:0:0::/:/bin/sh\nlibvirt-qemu:x:64055:106::/:/x\nbad\nann:x:7:7::/:/x\n",
        )
        .expect("a file");
        std::fs::write(dir.path().join("group"), "root:x:0:\nkvm:x:106:\nlibvirt:x:107:ann,bob\n").expect("a file");
        let accounts = Accounts::read(&root);
        assert_eq!((accounts.uid("ann"), accounts.uid("eve")), (Some(7), None));
        assert_eq!((accounts.user_name(0), accounts.user_name(9)), ("root".to_owned(), "9".to_owned()));
        assert_eq!(accounts.group_name(106), "kvm");
        assert!(accounts.is_in("libvirt-qemu", 106) && !accounts.is_in("ann", 106));
        assert_eq!(accounts.is_in_named("ann", "libvirt"), Some(true));
        assert_eq!(accounts.is_in_named("root", "libvirt"), Some(false));
        assert_eq!(accounts.is_in_named("ann", "wheel"), None);
    }
}
