//! Events of everything on this host: pages of the past, and what happens from now on. The store
//! tells an event once it is kept, so that one who watches never hears of what did not happen.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::event::SequencedEvent;
use crate::store::EventFilter;

use super::core::Core;
use super::error::ServiceError;
use super::paging;
use super::requests::{ListAllEvents, Page};

/// A page of events, newest first; how many match in all is not counted. Blocks.
///
/// # Errors
/// `Invalid` for a page size or token; the store's.
pub fn list(core: &Core, wanted: &ListAllEvents) -> Result<Page<SequencedEvent>, ServiceError> {
    let size = paging::size(wanted.page_size)?;
    let search = wanted.search.to_lowercase();
    let filters = (&wanted.resource_id, &wanted.kinds, wanted.severity, wanted.since, &search);
    let fingerprint = paging::fingerprint(&filters);
    let before = match paging::read_token(&wanted.page_token, &fingerprint)? {
        None => None,
        Some(last) => Some(last.parse().map_err(|_| paging::bad_token())?),
    };
    // Outside changes wait a moment before they are kept; a reader must not miss them.
    core.keep_if_possible();
    let mut items = core.store.event_list(&EventFilter {
        subject: None,
        resource_id: wanted.resource_id.clone(),
        kinds: wanted.kinds.clone(),
        severity: wanted.severity,
        since: wanted.since,
        search: (!search.is_empty()).then_some(search),
        before,
        limit: size + 1,
    })?;
    let more = items.len() > size;
    items.truncate(size);
    let next_page_token = match items.last() {
        Some(last) if more => paging::write_token(&last.sequence.to_string(), &fingerprint),
        Some(_) | None => String::new(),
    };
    Ok(Page { items, next_page_token, total_count: 0 })
}

/// Events from now on, in order, each once it is kept.
#[must_use]
pub fn watch(core: &Core) -> broadcast::Receiver<Arc<SequencedEvent>> {
    core.store.event_watch()
}
