//! Access tokens: short-lived, signed, and worth no more than the session that they name. The claim
//! says who; what they may do is looked up. One algorithm exists here, so that none can be chosen.

use std::path::{Path, PathBuf};
use std::sync::Once;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::secret;
use crate::model::id::{SessionId, UserId};
use crate::model::vm::Moment;
use crate::service::error::ServiceError;

/// Seconds that an access token is good for.
pub const GOOD_FOR_SEC: u32 = 15 * 60;
/// Days after which a key signs no more.
const ROTATE_AFTER_SEC: u64 = 30 * 24 * 3600;
/// Keys that are kept: the one that signs, and the one before it, until all it signed is over.
const KEYS: usize = 2;
const ISSUER: &str = "quantixkvm";
const TYPE: &str = "at+jwt";

type HmacSha256 = Hmac<Sha256>;

struct Signing(HmacSha256);

impl signature::Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl signature::Verifier<Vec<u8>> for Signing {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signed).map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Signing {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

fn signing(algorithm: &Algorithm, key: &[u8]) -> Result<Signing, Error> {
    if *algorithm != Algorithm::HS256 {
        return Err(Error::from(ErrorKind::InvalidAlgorithm));
    }
    HmacSha256::new_from_slice(key).map(Signing).map_err(|_| Error::from(ErrorKind::InvalidKeyFormat))
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(signing(algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(signing(algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

static INSTALLED: Once = Once::new();

#[derive(Clone, Serialize, Deserialize)]
struct Key {
    id: String,
    secret: String,
    made_at_us: i64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// The keys of this host.
pub struct AccessTokens {
    keys: Vec<Key>,
    /// The node, which is the audience: another host's token is none here.
    audience: String,
    /// `None`: in memory.
    path: Option<PathBuf>,
}

/// Why a token is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

impl AccessTokens {
    /// The keys in this file, made where there is none.
    ///
    /// # Errors
    /// A sentence that names the file: it cannot be used.
    pub fn open(path: Option<&Path>, audience: String) -> Result<Self, String> {
        INSTALLED.call_once(|| {
            // Nobody else here signs anything.
            let _ = PROVIDER.install_default();
        });
        let mut tokens = Self { keys: Vec::new(), audience, path: path.map(Path::to_path_buf) };
        if let Some(path) = path
            && let Some(bytes) = secret::read_private(path)?
        {
            tokens.keys = serde_json::from_slice(&bytes).map_err(|why| {
                format!(
                    "{}: {why}; remove the file: who is signed in by an access token signs in again",
                    path.display()
                )
            })?;
        }
        tokens.rotate().map_err(|why| why.to_string())?;
        Ok(tokens)
    }

    /// A new key where the present one is old.
    ///
    /// # Errors
    /// `Internal`: it cannot be kept.
    pub fn rotate(&mut self) -> Result<(), ServiceError> {
        let now = Moment::now();
        let fresh = |key: &Key| now.seconds_since(Moment(key.made_at_us)) < ROTATE_AFTER_SEC;
        if self.keys.first().is_some_and(fresh) {
            return Ok(());
        }
        let mut keys = self.keys.clone();
        keys.insert(0, Key { id: secret::short_id()?, secret: secret::secret()?, made_at_us: now.0 });
        keys.truncate(KEYS);
        if let Some(path) = &self.path {
            let bytes = serde_json::to_vec(&keys).map_err(|why| ServiceError::Internal(why.to_string()))?;
            secret::write_private(path, &bytes)
                .map_err(|why| ServiceError::Internal(format!("{}: {why}", path.display())))?;
        }
        self.keys = keys;
        Ok(())
    }

    /// A token of this session, and when it ends.
    ///
    /// # Errors
    /// `Internal`.
    pub fn issue(&self, user: UserId, session: SessionId) -> Result<(String, Moment), ServiceError> {
        let failed = |why: String| ServiceError::Internal(format!("an access token cannot be made: {why}"));
        let key = self.keys.first().ok_or_else(|| failed("there is no key".to_owned()))?;
        let now = Moment::now();
        let ends = now.plus_seconds(GOOD_FOR_SEC);
        let seconds = |at: Moment| u64::try_from(at.0 / 1_000_000).unwrap_or(0);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: self.audience.clone(),
            sub: user.to_string(),
            sid: session.to_string(),
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(ends),
        };
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key.secret.as_bytes()))
            .map_err(|why| failed(why.to_string()))?;
        Ok((token, ends))
    }

    /// Whom and which session a token names.
    ///
    /// # Errors
    /// [`NoToken`], whatever is wrong with it.
    pub fn read(&self, token: &str) -> Result<(UserId, SessionId), NoToken> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| NoToken)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(NoToken);
        }
        let key = self.keys.iter().find(|key| header.kid.as_deref() == Some(key.id.as_str())).ok_or(NoToken)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        let claims: Claims = jsonwebtoken::decode(token, &DecodingKey::from_secret(key.secret.as_bytes()), &rules)
            .map_err(|_| NoToken)?
            .claims;
        Ok((claims.sub.parse().map_err(|_| NoToken)?, claims.sid.parse().map_err(|_| NoToken)?))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> AccessTokens {
        AccessTokens::open(None, "node-1".to_owned()).expect("keys")
    }

    fn forged(tokens: &AccessTokens, header: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let (token, _) = tokens.issue(UserId::random(), SessionId::random()).expect("a token");
        let mut claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64"))
                .expect("JSON");
        change(&mut claims);
        let key = &tokens.keys[0];
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.replace("KID", &key.id)),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signed = jsonwebtoken::crypto::sign(
            message.as_bytes(),
            &EncodingKey::from_secret(key.secret.as_bytes()),
            Algorithm::HS256,
        )
        .expect("a signature");
        format!("{message}.{signed}")
    }

    const GOOD: &str = r#"{"alg":"HS256","typ":"at+jwt","kid":"KID"}"#;

    #[test]
    fn what_is_issued_is_read_and_nothing_else() {
        let tokens = tokens();
        let (user, session) = (UserId::random(), SessionId::random());
        let (token, _) = tokens.issue(user, session).expect("a token");
        assert_eq!(tokens.read(&token), Ok((user, session)));
        assert!(tokens.read(&forged(&tokens, GOOD, |_| ())).is_ok(), "the forger's tool is wrong");
        for (what, bad) in [
            ("no algorithm", forged(&tokens, r#"{"alg":"none","typ":"at+jwt","kid":"KID"}"#, |_| ())),
            ("another algorithm", forged(&tokens, r#"{"alg":"HS384","typ":"at+jwt","kid":"KID"}"#, |_| ())),
            ("an asymmetric one", forged(&tokens, r#"{"alg":"RS256","typ":"at+jwt","kid":"KID"}"#, |_| ())),
            ("another type", forged(&tokens, r#"{"alg":"HS256","typ":"JWT","kid":"KID"}"#, |_| ())),
            ("no type", forged(&tokens, r#"{"alg":"HS256","kid":"KID"}"#, |_| ())),
            ("another key", forged(&tokens, r#"{"alg":"HS256","typ":"at+jwt","kid":"x"}"#, |_| ())),
            ("over", forged(&tokens, GOOD, |claims| claims["exp"] = 1.into())),
            ("not yet", forged(&tokens, GOOD, |claims| claims["nbf"] = 99_999_999_999_u64.into())),
            ("another issuer", forged(&tokens, GOOD, |claims| claims["iss"] = "x".into())),
            ("another host", forged(&tokens, GOOD, |claims| claims["aud"] = "node-2".into())),
            ("no end", forged(&tokens, GOOD, |claims| drop(claims.as_object_mut().map(|it| it.remove("exp"))))),
            ("no session", forged(&tokens, GOOD, |claims| claims["sid"] = "x".into())),
            ("another host's key", self::tokens().issue(user, session).expect("a token").0),
        ] {
            assert_eq!(tokens.read(&bad), Err(NoToken), "{what}");
        }
    }

    #[test]
    fn keys_outlive_the_process_and_old_ones_sign_no_more() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("keys.json");
        let open = || AccessTokens::open(Some(&path), "n".to_owned()).expect("keys");
        let mut tokens = open();
        let (old, _) = tokens.issue(UserId::random(), SessionId::random()).expect("a token");
        assert!(open().read(&old).is_ok());
        tokens.keys[0].made_at_us = 0;
        tokens.rotate().expect("a new key");
        let (new, _) = tokens.issue(UserId::random(), SessionId::random()).expect("a token");
        assert!(open().read(&old).is_ok() && open().read(&new).is_ok());
        assert_ne!(
            jsonwebtoken::decode_header(&old).map(|it| it.kid),
            jsonwebtoken::decode_header(&new).map(|it| it.kid)
        );
        tokens.keys[0].made_at_us = 0;
        tokens.rotate().expect("a new key");
        assert_eq!(open().read(&old), Err(NoToken));
        std::fs::write(&path, "x").expect("a damaged file");
        let told = AccessTokens::open(Some(&path), "n".to_owned()).err().expect("it is refused");
        assert!(told.contains("keys.json"), "{told}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_refused_without_panic(junk in "\\PC{0,200}", at in 0_usize..300, bit in 0_u8..7) {
            let tokens = tokens();
            prop_assert_eq!(tokens.read(&junk), Err(NoToken));
            let (token, _) = tokens.issue(UserId::random(), SessionId::random()).expect("a token");
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                // The last letter of base64 holds bits that mean nothing.
                let spare = at + 1 == token.len();
                prop_assert!(spare || tokens.read(&changed).is_err(), "{}", changed);
            }
        }
    }
}
