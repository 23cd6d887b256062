//! The certificate's files: one of our own, made for every name and address that this host has, or
//! the administrator's; what is in them, and TLS by them.
//!
//! Of our own, key and certificate are two files, and a power cut may fall between them. Whatever is
//! of no use there is made anew: nobody else depends on it. The administrator's are only ever read.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::model::vm::Moment;
use crate::service::auth::secret;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long our own certificate is good: no longer than clients accept of any.
const GOOD_FOR_DAYS: u32 = 825;
/// How long before its end a certificate is to be replaced.
pub(super) const SOON_SEC: u32 = 30 * 24 * 3600;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub subject: String,
    pub issuer: String,
    /// It vouches for itself.
    pub is_self_signed: bool,
    /// Hosts and addresses.
    pub names: Vec<String>,
    pub not_before: Moment,
    pub not_after: Moment,
    /// In pairs of hexadecimal digits, as browsers show it.
    pub sha256: String,
}

impl Facts {
    /// Whether it has ended, or ends within 30 days.
    #[must_use]
    pub fn ends_soon(&self, now: Moment) -> bool {
        self.not_after <= now.plus_seconds(SOON_SEC)
    }
}

fn named(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

impl Files {
    /// Those of our own certificate.
    #[must_use]
    pub fn own(dir: &Path) -> Self {
        Self { certificate: dir.join("tls-certificate.pem"), key: dir.join("tls-key.pem") }
    }

    /// What the certificate says of itself; of a chain, its first.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn facts(&self) -> Result<Facts, String> {
        let path = &self.certificate;
        let der = CertificateDer::from_pem_file(path).map_err(|why| named(path, &why))?;
        let (_, read) = X509Certificate::from_der(&der).map_err(|why| named(path, &why))?;
        let alternative = read.subject_alternative_name().map_err(|why| named(path, &why))?;
        let general = alternative.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let digest: Vec<String> = Sha256::digest(&der).iter().map(|byte| format!("{byte:02X}")).collect();
        let moment = |seconds: i64| Moment(seconds.saturating_mul(1_000_000));
        Ok(Facts {
            subject: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            is_self_signed: read.subject().as_raw() == read.issuer().as_raw(),
            names: general.iter().filter_map(name).collect(),
            not_before: moment(read.validity().not_before.timestamp()),
            not_after: moment(read.validity().not_after.timestamp()),
            sha256: digest.join(":"),
        })
    }

    /// What TLS is spoken with: 1.2 and 1.3, by ring.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn config(&self) -> Result<ServerConfig, String> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|why| named(&self.certificate, &why))?;
        let bytes = secret::read_given(&self.key)?
            .ok_or_else(|| named(&self.key, &"it is not there, and the certificate's key must be"))?;
        let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|why| named(&self.key, &why))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|why| named(&self.certificate, &why))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Why a certificate of our own must be made; `None`: the one that there is will do.
    ///
    /// # Errors
    /// The key is there, and others may read it: that is told, and not covered up.
    pub fn unfit(&self, now: Moment) -> Result<Option<String>, String> {
        if secret::read_private(&self.key)?.is_none() || !self.certificate.exists() {
            return Ok(Some("there is none yet".to_owned()));
        }
        Ok(match self.config().and_then(|_| self.facts()) {
            Err(why) => Some(why),
            Ok(facts) if facts.ends_soon(now) => Some(format!("the one before it ends at {}", facts.not_after)),
            // Made while the clock was wrong.
            Ok(facts) if facts.not_before > now => Some(format!("the one before it begins at {}", facts.not_before)),
            Ok(_) => None,
        })
    }

    /// Make a certificate of our own for these names, and a key for it.
    ///
    /// # Errors
    /// A sentence that names what failed.
    pub fn make(&self, names: &[String]) -> Result<(), String> {
        // A host whose clock is behind must not refuse what it has just made.
        self.make_for(names, Moment::now(), GOOD_FOR_DAYS)
    }

    /// As [`make`](Self::make), from a day before `now` on, and for so many days.
    pub(super) fn make_for(&self, names: &[String], now: Moment, days: u32) -> Result<(), String> {
        let failed = |why: rcgen::Error| format!("a certificate cannot be made: {why}");
        // An address is no host in brackets; what is not ASCII has no place in a certificate.
        let names: Vec<String> = names.iter().map(|name| name.trim_matches(['[', ']']).to_owned()).collect();
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty() && name.is_ascii()).collect();
        let common = names.first().map_or("quantixkvm", String::as_str).to_owned();
        let mut params = CertificateParams::new(names).map_err(failed)?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common);
        subject.push(DnType::OrganizationName, "Quantix-KVM");
        params.distinguished_name = subject;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let since_epoch = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
        params.not_before = now - DAY;
        params.not_after = now + DAY * days;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let write =
            |path: &Path, text: &str| secret::write_private(path, text.as_bytes()).map_err(|why| named(path, &why));
        write(&self.key, &key.serialize_pem())?;
        write(&self.certificate, &certificate.pem())
    }
}

/// A host or an address; what else a certificate may name is not ours to serve.
fn name(general: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(host) = general {
        return Some((*host).to_owned());
    }
    let GeneralName::IPAddress(bytes) = general else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["hv-01", "hv-01.local", "192.0.2.5", "[2001:db8::5]", "höst", ""].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_made_says_what_it_was_made_for() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::own(home.path());
        files.make(&names()).expect("it is made");
        let facts = files.facts().expect("it can be read");
        assert_eq!(facts.names, ["hv-01", "hv-01.local", "192.0.2.5", "2001:db8::5"]);
        assert!(facts.subject.contains("CN=hv-01") && facts.is_self_signed, "{facts:?}");
        assert_eq!((facts.subject.as_str(), facts.sha256.len()), (facts.issuer.as_str(), 95));
        let now = Moment::now();
        assert!(facts.not_before < now && !facts.ends_soon(now) && facts.ends_soon(facts.not_after), "{facts:?}");
        files.config().expect("TLS can be spoken");
        assert_eq!(files.unfit(now), Ok(None));
        let before = facts.sha256;
        files.make(&names()).expect("it is made anew");
        assert_ne!(files.facts().expect("it can be read").sha256, before);
    }

    #[test]
    fn what_is_of_no_use_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::own(home.path());
        let now = Moment::now();
        let unfit = || files.unfit(now).expect("nobody else may read it").unwrap_or_default();
        assert!(unfit().contains("none yet"));
        for (days, words) in [(29, "ends at"), (1, "ends at"), (31, "")] {
            files.make_for(&names(), now, days).expect("it is made");
            assert!(unfit().contains(words) && unfit().is_empty() == words.is_empty(), "{days} days: {}", unfit());
        }
        files.make_for(&names(), now.plus_seconds(10 * 24 * 3600), 400).expect("it is made");
        assert!(unfit().contains("begins at"), "{}", unfit());
        // A power cut between the two files: a new key, and the certificate of the old.
        files.make(&names()).expect("it is made");
        let certificate = std::fs::read(&files.certificate).expect("a file");
        files.make(&names()).expect("it is made");
        std::fs::write(&files.certificate, &certificate).expect("a file");
        assert!(!unfit().is_empty());
        for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&files.certificate, broken).expect("a file");
            assert!(unfit().contains("tls-certificate.pem"), "{}", unfit());
            assert!(files.facts().expect_err("it is broken").contains("tls-certificate.pem"));
        }
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
        assert!(files.unfit(now).expect_err("others may read it").contains("chmod 0600"));
        assert!(files.config().expect_err("others may read it").contains("tls-key.pem can be read"));
    }
}
