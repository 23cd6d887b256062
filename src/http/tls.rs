//! The certificate: one of our own from the first start on, for every name and address that this
//! host then has, or the administrator's. It is looked at again when its file changes, so that a
//! renewed one needs no restart.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::service::auth::secret;

/// How often a changed file is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long our own certificate is good: no longer than clients accept of any.
const GOOD_FOR_DAYS: u32 = 825;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What TLS is spoken with.
pub struct Tls {
    files: Files,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// With the administrator's files, or, where there are none, with our own in `dir`, made for
    /// `names` where they are not there.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn open(given: Option<Files>, dir: &Path, names: &[String]) -> Result<Self, String> {
        let files = match given {
            Some(files) => files,
            None => own(dir, names)?,
        };
        let config = ArcSwap::from_pointee(read(&files)?);
        Ok(Self { files, config })
    }

    /// Who shakes hands, with the certificate of now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Take up changed files until `stop`. What cannot be read is told, and the certificate before it
    /// stays.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut known = changed_at(&self.files);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let now = changed_at(&self.files);
            if now == known {
                continue;
            }
            known = now;
            match read(&self.files) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!(certificate = %self.files.certificate.display(), "the new certificate is in use");
                }
                Err(why) => tracing::error!(why, "the changed certificate is not used; the one before it stays"),
            }
        }
    }
}

fn changed_at(files: &Files) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}

fn own(dir: &Path, names: &[String]) -> Result<Files, String> {
    let files = Files { certificate: dir.join("tls-certificate.pem"), key: dir.join("tls-key.pem") };
    if secret::read_private(&files.key)?.is_some() && files.certificate.exists() {
        return Ok(files);
    }
    let failed = |why: rcgen::Error| format!("a certificate cannot be made: {why}");
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, names.first().map_or("quantixkvm", String::as_str));
    name.push(DnType::OrganizationName, "Quantix-KVM");
    params.distinguished_name = name;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A host whose clock is behind must not refuse what it has just made.
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_before = now - DAY;
    params.not_after = now + DAY * GOOD_FOR_DAYS;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let write = |path: &Path, text: &str| {
        secret::write_private(path, text.as_bytes()).map_err(|why| format!("{}: {why}", path.display()))
    };
    write(&files.key, &key.serialize_pem())?;
    write(&files.certificate, &certificate.pem())?;
    tracing::info!(names = names.join(", "), certificate = %files.certificate.display(), "a certificate of our own was made");
    Ok(files)
}

fn read(files: &Files) -> Result<ServerConfig, String> {
    let named = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|why| named(&files.certificate, &why))?;
    let bytes = secret::read_private(&files.key)?
        .ok_or_else(|| named(&files.key, &"it is not there, and the certificate's key must be"))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|why| named(&files.key, &why))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|why| named(&files.certificate, &why))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether a name is an address, which a certificate names in another way than a host.
#[must_use]
pub fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}
