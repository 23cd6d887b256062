//! Pages of VMs, from the picture alone. The picture keeps the orders that a list can be asked in,
//! so a page is walked to and never sorted for: it costs the same among ten thousand VMs.

use std::ops::Bound;
use std::sync::Arc;

use crate::model::id::VmId;
use crate::model::vm::{Moment, PowerState};

use super::super::error::ServiceError;
use super::super::inventory::{Picture, Vm};
use super::super::paging;
use super::super::requests::{ListVms, OrderBy, Page, StateFilter, WatchVms};
use super::{VmService, matches};

impl VmService {
    /// A page of the VMs that match.
    ///
    /// # Errors
    /// `Invalid` for a page size or token that is not one of ours.
    pub fn list(&self, wanted: &ListVms) -> Result<Page<Arc<Vm>>, ServiceError> {
        let size = paging::size(wanted.page_size)?;
        let fingerprint =
            paging::fingerprint(&(wanted.project_id, &wanted.labels, &wanted.states, wanted.node_id, wanted.order_by));
        let after = match paging::read_token(&wanted.page_token, &fingerprint)? {
            None => None,
            Some(key) => Some(SortKey::read(wanted.order_by, &key).ok_or_else(paging::bad_token)?),
        };
        let picture = self.core.inventory.picture();
        let filter = WatchVms { node_id: wanted.node_id, project_id: wanted.project_id, labels: wanted.labels.clone() };
        let passes = |vm: &Vm| {
            matches(&filter, vm)
                && (wanted.states.is_empty() || wanted.states.iter().any(|state| is_state(vm.record.state, *state)))
        };
        let is_filtered = filter != WatchVms::default() || !wanted.states.is_empty();
        let total_count =
            if is_filtered { picture.vms.values().filter(|vm| passes(vm)).count() } else { picture.vms.len() };
        let mut rows = walk(&picture, wanted.order_by, after).filter(|vm| passes(vm));
        let items: Vec<Arc<Vm>> = rows.by_ref().take(size).map(Arc::clone).collect();
        let next_page_token = match items.last() {
            Some(last) if rows.next().is_some() => {
                paging::write_token(&SortKey::of(wanted.order_by, last).write(), &fingerprint)
            }
            Some(_) | None => String::new(),
        };
        Ok(Page { items, next_page_token, total_count })
    }
}

/// The VMs behind this one, in this order.
fn walk(picture: &Picture, order: OrderBy, after: Option<SortKey>) -> Box<dyn Iterator<Item = &Arc<Vm>> + '_> {
    let (name, age) = match after {
        None => (None, None),
        Some(SortKey::Name(name, id)) => (Some((name, id)), None),
        Some(SortKey::CreatedAt(at, id)) => (None, Some((at, id))),
    };
    match order {
        OrderBy::Name => Box::new(picture.by_name(above(name))),
        OrderBy::NameDesc => Box::new(picture.by_name(below(name)).rev()),
        OrderBy::CreatedAt => Box::new(picture.by_age(above(age))),
        OrderBy::CreatedAtDesc => Box::new(picture.by_age(below(age)).rev()),
    }
}

fn above<K>(key: Option<K>) -> (Bound<K>, Bound<K>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

fn below<K>(key: Option<K>) -> (Bound<K>, Bound<K>) {
    (Bound::Unbounded, key.map_or(Bound::Unbounded, Bound::Excluded))
}

fn is_state(state: PowerState, wanted: StateFilter) -> bool {
    match wanted {
        StateFilter::Provisioning => state == PowerState::Provisioning,
        StateFilter::Running => state == PowerState::Running,
        StateFilter::Stopped => state == PowerState::Stopped,
        StateFilter::Paused => matches!(state, PowerState::Paused(_)),
        StateFilter::Suspended => state == PowerState::Suspended,
        StateFilter::Crashed => matches!(state, PowerState::Crashed(_)),
        StateFilter::Migrating => state == PowerState::Migrating,
        StateFilter::Lost => state == PowerState::Lost,
        StateFilter::Unknown => state == PowerState::Unknown,
    }
}

/// Where a row stands in its list: total, so that a page begins exactly after the last one.
#[derive(Debug, Clone)]
enum SortKey {
    Name(Box<str>, VmId),
    CreatedAt(Moment, VmId),
}

impl SortKey {
    fn of(order: OrderBy, vm: &Vm) -> Self {
        match order {
            OrderBy::Name | OrderBy::NameDesc => Self::Name(vm.record.name.as_str().into(), vm.record.id),
            OrderBy::CreatedAt | OrderBy::CreatedAtDesc => Self::CreatedAt(vm.record.created_at, vm.record.id),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Name(name, id) => format!("{id}{name}"),
            Self::CreatedAt(at, id) => format!("{id}{}", at.0),
        }
    }

    fn read(order: OrderBy, text: &str) -> Option<Self> {
        let (id, key) = text.split_at_checked(36)?;
        let id = id.parse().ok()?;
        match order {
            OrderBy::Name | OrderBy::NameDesc => Some(Self::Name(key.into(), id)),
            OrderBy::CreatedAt | OrderBy::CreatedAtDesc => Some(Self::CreatedAt(Moment(key.parse().ok()?), id)),
        }
    }
}
