//! The certificate in use: our own from the first start on, or the administrator's. Its files are
//! looked at again as they change, so that a renewed one needs no restart, and our own is made anew
//! before it ends.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::model::vm::Moment;

pub use super::certificate::{Facts, Files};

/// How often the files are looked at: what is told is told after the second look, and within 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the certificate's end is told of, and how soon what failed is tried again.
const TELL_EVERY: Duration = Duration::from_secs(24 * 3600);
const RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What TLS is spoken with.
pub struct Tls {
    files: Files,
    whose: Whose,
    config: ArcSwap<ServerConfig>,
    /// When the certificate in use ends, in microseconds since 1970.
    ends_at: AtomicI64,
    /// The files as they were when it was read first.
    opened: Stamp,
}

enum Whose {
    /// Ours, for these names.
    Own(Vec<String>),
    Administrators,
}

/// What changes when a file does, whoever puts it there: of the certificate and of the key.
type Stamp = [Option<(u64, u64, i64, i64, u64)>; 2];

fn stamp(files: &Files) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size()))
    })
}

/// Changed files that could not be read. Two files do not change in one moment: what is still so at
/// the next look is told.
#[derive(PartialEq, Eq)]
enum Broken {
    No,
    Once(Stamp),
    Told(Stamp),
}

impl Tls {
    /// With the administrator's files, or, where there are none, with our own in `dir`, made for
    /// `names` where they are not there or of no use any more.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn open(given: Option<Files>, dir: &Path, names: &[String]) -> Result<Self, String> {
        let (files, whose) = match given {
            Some(files) => (files, Whose::Administrators),
            None => (Files::own(dir), Whose::Own(names.to_vec())),
        };
        if let Whose::Own(names) = &whose
            && let Some(why) = files.unfit(Moment::now())?
        {
            files.make(names)?;
            told_of_own(names, &files, &why);
        }
        let opened = stamp(&files);
        let config = ArcSwap::from_pointee(files.config()?);
        let ends_at = AtomicI64::new(files.facts()?.not_after.0);
        Ok(Self { files, whose, config, ends_at, opened })
    }

    /// Who shakes hands, with the certificate of now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// When the certificate in use ends.
    #[must_use]
    pub fn ends_at(&self) -> Moment {
        Moment(self.ends_at.load(Ordering::Relaxed))
    }

    /// Take up changed files and replace our own before it ends, until `stop`. What cannot be read
    /// is told, and the certificate before it stays.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut taken = self.opened;
        let mut broken = Broken::No;
        let mut next_renewal = Instant::now();
        let mut next_warning = Instant::now();
        loop {
            let now = Moment::now();
            if Instant::now() >= next_renewal && self.renew_before_its_end(now) == Renewal::Failed {
                next_renewal = Instant::now() + RETRY_AFTER;
            }
            taken = self.look(taken, &mut broken);
            if Instant::now() >= next_warning && self.warned(now) {
                next_warning = Instant::now() + TELL_EVERY;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Take up the files if they are not those that were taken; answers with those that are now.
    fn look(&self, taken: Stamp, broken: &mut Broken) -> Stamp {
        let now = stamp(&self.files);
        if now == taken || *broken == Broken::Told(now) {
            return taken;
        }
        match self.files.config().and_then(|config| Ok((config, self.files.facts()?))) {
            Ok((config, facts)) => {
                self.config.store(Arc::new(config));
                self.ends_at.store(facts.not_after.0, Ordering::Relaxed);
                *broken = Broken::No;
                tracing::info!(
                    certificate = %self.files.certificate.display(),
                    sha256 = facts.sha256,
                    ends_at = %facts.not_after,
                    "the new certificate is in use"
                );
                now
            }
            Err(why) => {
                if *broken == Broken::Once(now) {
                    tracing::error!(why, "the changed certificate is not used; the one before it stays");
                    *broken = Broken::Told(now);
                } else {
                    *broken = Broken::Once(now);
                }
                taken
            }
        }
    }

    /// Our own is made anew within 30 days of its end.
    fn renew_before_its_end(&self, now: Moment) -> Renewal {
        let Whose::Own(names) = &self.whose else { return Renewal::NotDue };
        let why = match self.files.unfit(now) {
            // What somebody put there and cannot be read is told, and theirs to mend.
            _ if self.ends_at() > now.plus_seconds(super::certificate::SOON_SEC) => return Renewal::NotDue,
            Ok(None) => return Renewal::NotDue,
            Ok(Some(why)) => why,
            Err(why) => {
                tracing::error!(why, "the certificate of our own ends soon, and cannot be made anew");
                return Renewal::Failed;
            }
        };
        match self.files.make(names) {
            Ok(()) => {
                told_of_own(names, &self.files, &why);
                Renewal::Done
            }
            Err(error) => {
                tracing::error!(why = error, "the certificate of our own ends soon, and cannot be made anew");
                Renewal::Failed
            }
        }
    }

    /// Tell that the certificate in use ends soon, where it does.
    fn warned(&self, now: Moment) -> bool {
        let ends_at = self.ends_at();
        let left_days = ends_at.seconds_since(now) / (24 * 3600);
        let certificate = self.files.certificate.display();
        if ends_at <= now {
            tracing::error!(%certificate, %ends_at, "the certificate has ended: clients refuse it; put a new one there");
        } else if ends_at <= now.plus_seconds(super::certificate::SOON_SEC) {
            tracing::warn!(%certificate, %ends_at, left_days, "the certificate ends soon; put a new one there");
        } else {
            return false;
        }
        true
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    NotDue,
    Done,
    Failed,
}

fn told_of_own(names: &[String], files: &Files, why: &str) {
    tracing::info!(
        names = names.join(", "),
        certificate = %files.certificate.display(),
        why,
        "a certificate of our own was made"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["hv-01".to_owned()]
    }

    #[test]
    fn our_own_is_made_anew_at_the_start_and_while_it_runs() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::own(home.path());
        files.make_for(&names(), Moment::now(), 10).expect("it is made");
        let old = files.facts().expect("its facts");
        let tls = Tls::open(None, home.path(), &names()).expect("TLS");
        let made = files.facts().expect("its facts");
        assert_ne!(made.sha256, old.sha256, "it ends within 30 days");
        assert_eq!(tls.ends_at(), made.not_after);

        let now = Moment::now();
        assert_eq!(tls.renew_before_its_end(now), Renewal::NotDue);
        let later = Moment(made.not_after.0 - 29 * 24 * 3600 * 1_000_000);
        assert!(tls.warned(later) && !tls.warned(now));
        assert_eq!(tls.renew_before_its_end(later), Renewal::Done);
        assert_ne!(files.facts().expect("its facts").sha256, made.sha256);
        let mut broken = Broken::No;
        let taken = tls.look(tls.opened, &mut broken);
        assert!(taken != tls.opened && broken == Broken::No);
        assert_eq!(tls.look(taken, &mut broken), taken, "it is taken up once");
    }

    #[test]
    fn what_is_broken_is_told_at_the_second_look_and_the_one_before_it_stays() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::own(home.path());
        files.make(&names()).expect("it is made");
        let tls = Tls::open(Some(files.clone()), home.path(), &[]).expect("TLS");
        let before = Arc::as_ptr(&tls.config.load_full());
        let whole = std::fs::read(&files.certificate).expect("a file");
        std::fs::write(&files.certificate, "broken").expect("a file");
        let mut broken = Broken::No;
        let taken = tls.look(tls.opened, &mut broken);
        assert!(taken == tls.opened && matches!(broken, Broken::Once(_)));
        assert_eq!(tls.look(taken, &mut broken), taken);
        assert!(matches!(broken, Broken::Told(_)));
        assert_eq!(Arc::as_ptr(&tls.config.load_full()), before);
        assert_eq!(tls.renew_before_its_end(tls.ends_at()), Renewal::NotDue, "it is not ours");
        std::fs::write(&files.certificate, whole).expect("a file");
        assert_ne!(tls.look(taken, &mut broken), taken);
        assert!(broken == Broken::No && Arc::as_ptr(&tls.config.load_full()) != before);
    }
}
