//! JWTs: one algorithm that the operator chose, claims that must be there, and a clock that is given.

use std::{fmt, sync::Once, time::Duration};

use apflow_core::{api::Caller, id::check_id, secret::Secret, time::Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::rust_crypto, decode,
};
use serde_json::{Map, Value, json};

use super::bearer::MAX_TOKEN;

/// How far two clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// A shorter key can be guessed from one token.
pub const MIN_KEY: usize = 32;

/// The most characters of a key id; it is not looked at, but a long one is an attack.
const MAX_KID: usize = 256;

/// What tokens are checked with.
#[derive(Debug, Clone)]
pub enum JwtKey {
    /// HS256, HS384 or HS512 with a secret that both sides have.
    Secret(Secret),
    /// RS256, PS256, ES256, `EdDSA` and the like with a public key in PEM form.
    PublicPem(String),
}

/// Which tokens are believed.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// The only algorithm: `HS256`, `RS256`, `ES256`, `EdDSA`, …
    pub algorithm: String,
    /// The key that goes with it.
    pub key: JwtKey,
    /// Who must have made the token; none: anybody who has the key.
    pub issuer: Option<String>,
    /// Whom it must be for; none: it must be for nobody in particular.
    pub audience: Option<String>,
}

/// The check of JWTs.
pub struct Jwt {
    key: DecodingKey,
    validation: Validation,
    algorithm: Algorithm,
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The crate asks a process-wide table for its algorithms, and panics if nobody filled it in.
fn ready() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else's table does as well.
        let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
    });
}

impl Jwt {
    /// A check by this configuration, or what is wrong with it.
    pub fn new(config: &JwtConfig) -> Result<Self, String> {
        ready();
        let algorithm = algorithm(&config.algorithm)?;
        let name = &config.algorithm;
        let key = match (&config.key, is_hmac(algorithm)) {
            (JwtKey::Secret(secret), true) => {
                long_enough(secret)?;
                DecodingKey::from_secret(secret.reveal().as_bytes())
            }
            (JwtKey::PublicPem(pem), false) => {
                if pem.contains("PRIVATE KEY") {
                    return Err("the key to check JWTs with is a private key; only its public \
                                half belongs here"
                        .to_owned());
                }
                public(algorithm, pem.as_bytes())
                    .map_err(|error| format!("the public key does not fit {name}: {error}"))?
            }
            (JwtKey::Secret(_), false) => {
                return Err(format!("{name} is checked with a public key, not with a secret"));
            }
            (JwtKey::PublicPem(_), true) => {
                return Err(format!("{name} is checked with a secret, not with a public key"));
            }
        };
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &config.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        // Moments are compared below, with the clock we are given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { key, validation, algorithm })
    }

    /// The algorithm, in a word.
    pub fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// Who a token speaks for; none if it is not believed, whatever the reason.
    pub fn caller(&self, token: &str, now: Timestamp) -> Option<Caller> {
        let claims = self.claims(token, now)?;
        let user_id = claims.get("sub")?.as_str().filter(|sub| check_id(sub).is_none())?;
        Some(Caller {
            user_id: Some(user_id.to_owned()),
            admin: is_admin(&claims),
            read_only: only_reads(&claims),
            verified: true,
        })
    }

    /// The claims of a token that is believed at this moment.
    pub fn claims(&self, token: &str, now: Timestamp) -> Option<Map<String, Value>> {
        if token.len() > MAX_TOKEN || !plain_header(token) {
            return None;
        }
        let data = decode::<Map<String, Value>>(token, &self.key, &self.validation).ok()?;
        if data.header.kid.is_some_and(|kid| kid.len() > MAX_KID) {
            return None;
        }
        in_time(&data.claims, now).then_some(data.claims)
    }
}

/// Signs claims with a secret, as `apflow token jwt` does.
pub fn sign(
    secret: &Secret,
    algorithm_name: &str,
    claims: &Map<String, Value>,
) -> Result<Secret, String> {
    ready();
    let algorithm = algorithm(algorithm_name)?;
    if !is_hmac(algorithm) {
        return Err(format!("{algorithm_name} needs a private key, and apflow has none"));
    }
    long_enough(secret)?;
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key)
        .map(Secret::new)
        .map_err(|error| error.to_string())
}

/// The claims of a token that apflow makes: who, since when, until when, and what it may.
pub fn claims(
    subject: &str,
    now: Timestamp,
    lasts: Duration,
    roles: &[String],
    read_only: bool,
) -> Map<String, Value> {
    let seconds = |at: Timestamp| at.0.div_euclid(1_000_000);
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!("apflow-cli"));
    claims.insert("sub".to_owned(), json!(subject));
    claims.insert("iat".to_owned(), json!(seconds(now)));
    claims.insert("exp".to_owned(), json!(seconds(now.after(lasts))));
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), json!(roles));
    }
    if read_only {
        claims.insert("scope".to_owned(), json!("read"));
    }
    claims
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|_| {
        format!(
            "`{}` is no algorithm for JWTs; there are HS256, HS384, HS512, RS256, RS384, RS512, \
             PS256, PS384, PS512, ES256, ES384 and EdDSA",
            name.escape_debug()
        )
    })
}

fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

fn long_enough(secret: &Secret) -> Result<(), String> {
    let length = secret.reveal().len();
    if length >= MIN_KEY {
        return Ok(());
    }
    Err(format!(
        "the secret for JWTs has {length} bytes and can be guessed; it needs {MIN_KEY} or more, as \
         from `openssl rand -hex 32`"
    ))
}

fn public(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, jsonwebtoken::errors::Error> {
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        _ => DecodingKey::from_rsa_pem(pem),
    }
}

/// The header is an object that asks for nothing we would have to understand.
fn plain_header(token: &str) -> bool {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = token.split('.').next().unwrap_or_default();
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(header) else { return false };
    let Ok(header) = serde_json::from_slice::<Map<String, Value>>(&bytes) else { return false };
    let kind = header.get("typ").map(|kind| kind.as_str().unwrap_or_default());
    let known = kind
        .is_none_or(|kind| ["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind)));
    // Without `crit` nothing else may change what the token means.
    known && !header.contains_key("crit") && !header.contains_key("b64")
}

/// Not over yet, and already begun.
fn in_time(claims: &Map<String, Value>, now: Timestamp) -> bool {
    let seconds = now.0 as f64 / 1e6;
    let leeway = LEEWAY.as_secs_f64();
    let number = |name: &str| claims.get(name).map(Value::as_f64);
    let over = match number("exp") {
        Some(Some(exp)) => seconds >= exp + leeway,
        _ => true,
    };
    let begun = match number("nbf") {
        None => true,
        Some(Some(nbf)) => nbf <= seconds + leeway,
        Some(None) => false,
    };
    !over && begun
}

/// `roles` as a list or one text, or `role`, names `admin`.
fn is_admin(claims: &Map<String, Value>) -> bool {
    ["roles", "role"].iter().filter_map(|name| claims.get(*name)).any(|roles| match roles {
        Value::String(role) => role == "admin",
        Value::Array(roles) => roles.iter().any(|role| role == "admin"),
        _ => false,
    })
}

/// Its scopes say `read` and nothing more.
///
/// Scopes that mean nothing here limit nothing; those that cannot be read at all limit.
fn only_reads(claims: &Map<String, Value>) -> bool {
    let writes = |scope: &str| {
        matches!(scope, "write" | "admin" | "apflow" | "apflow:write" | "apflow:admin")
    };
    let reads = |scope: &str| matches!(scope, "read" | "apflow:read");
    let scopes: Vec<&str> = match claims.get("scope").or_else(|| claims.get("scopes")) {
        None => return false,
        Some(Value::String(scopes)) => scopes.split_whitespace().collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        Some(_) => return true,
    };
    scopes.iter().any(|scope| reads(scope)) && !scopes.iter().any(|scope| writes(scope))
}

#[cfg(test)]
mod tests;
