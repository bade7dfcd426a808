//! Tokens that must not be believed, by the ids of the list of attacks.

use jsonwebtoken::encode;

use super::*;

const NOW: i64 = 1_700_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const RSA: (&str, &str) = (
    include_str!("../../../tests/keys/rsa.key.pem"),
    include_str!("../../../tests/keys/rsa.pub.pem"),
);
const EC: (&str, &str) = (
    include_str!("../../../tests/keys/ec.key.pem"),
    include_str!("../../../tests/keys/ec.pub.pem"),
);
const ED: (&str, &str) = (
    include_str!("../../../tests/keys/ed.key.pem"),
    include_str!("../../../tests/keys/ed.pub.pem"),
);

fn config(algorithm: &str, key: JwtKey) -> JwtConfig {
    JwtConfig { algorithm: algorithm.to_owned(), key, issuer: None, audience: None }
}

fn hs256() -> Jwt {
    Jwt::new(&config("HS256", JwtKey::Secret(Secret::new(SECRET)))).expect("a good key")
}

fn good() -> Value {
    json!({ "sub": "u1", "exp": NOW + 60 })
}

/// The claims with some changed, or left out where the change is `null`.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

fn by(secret: &str, header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signed")
}

fn signed(claims: &Value) -> String {
    by(SECRET, &Header::new(Algorithm::HS256), claims)
}

/// A token with a header of one's own, rightly signed.
fn with_header(header: &Value) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(&good()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("signed"))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn believed(jwt: &Jwt, token: &str) -> bool {
    jwt.caller(token, at(NOW)).is_some()
}

#[test]
fn a_good_token_says_who_it_is_and_what_it_may() {
    let caller = |claims: &Value| hs256().caller(&signed(claims), at(NOW)).expect("believed");
    let user = Caller { verified: true, ..Caller::user("u1") };
    assert_eq!(caller(&good()), user);
    for roles in
        [json!({"roles": ["x", "admin"]}), json!({"roles": "admin"}), json!({"role": "admin"})]
    {
        assert_eq!(caller(&with(&roles)), Caller { admin: true, ..user.clone() }, "{roles}");
    }
    for roles in [json!({"roles": ["administrator"]}), json!({"role": 1}), json!({"roles": {}})] {
        assert_eq!(caller(&with(&roles)), user, "{roles}");
    }
    for scope in ["read", "openid read", "apflow:read"] {
        assert!(caller(&with(&json!({ "scope": scope }))).read_only, "{scope}");
    }
    for scope in ["read write", "openid profile", "", "reader"] {
        assert!(!caller(&with(&json!({ "scope": scope }))).read_only, "{scope}");
    }
    assert!(caller(&with(&json!({"scopes": ["read"]}))).read_only);
    assert!(caller(&with(&json!({"scope": 7}))).read_only, "what cannot be read limits");
}

#[test]
fn a2_no_signature_or_another_algorithm_is_not_believed() {
    let jwt = hs256();
    for alg in ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "hs256"] {
        assert!(!believed(&jwt, &with_header(&json!({"alg": alg, "typ": "JWT"}))), "{alg}");
    }
    let token = signed(&good());
    let (message, _) = token.rsplit_once('.').expect("three parts");
    for cut in [format!("{message}."), message.to_owned(), format!("{message}.AAAA")] {
        assert!(!believed(&jwt, &cut));
    }
    let hs384 = by(SECRET, &Header::new(Algorithm::HS384), &good());
    assert!(!believed(&jwt, &hs384));
    let other = by(&"x".repeat(32), &Header::new(Algorithm::HS256), &good());
    assert!(!believed(&jwt, &other));
    let admin = signed(&with(&json!({"role": "admin"})));
    let parts: Vec<&str> = token.split('.').collect();
    let payload = admin.split('.').nth(1).expect("three parts");
    assert!(!believed(&jwt, &format!("{}.{payload}.{}", parts[0], parts[2])), "swapped");
}

#[test]
fn a5_a_public_key_is_no_secret() {
    for (name, pair) in [("RS256", RSA), ("ES256", EC), ("EdDSA", ED)] {
        let jwt = Jwt::new(&config(name, JwtKey::PublicPem(pair.1.to_owned()))).expect(name);
        for secret in [pair.1, pair.1.trim_end(), &pair.1.replace('\n', "\r\n")] {
            let forged = by(secret, &Header::new(Algorithm::HS256), &good());
            assert!(!believed(&jwt, &forged), "{name}");
        }
        assert!(Jwt::new(&config("HS256", JwtKey::PublicPem(pair.1.to_owned()))).is_err());
        let leaked = Jwt::new(&config(name, JwtKey::PublicPem(pair.0.to_owned())));
        let error = leaked.expect_err("a private key");
        assert!(error.contains("private"), "{error}");
    }
}

#[test]
fn each_sort_of_public_key_opens_what_its_private_half_signed_and_nothing_else() {
    let sign = |name: &str, key: &EncodingKey| {
        encode(&Header::new(name.parse().expect(name)), &good(), key).expect("signed")
    };
    let keys = [
        ("RS256", EncodingKey::from_rsa_pem(RSA.0.as_bytes()), RSA.1),
        ("PS256", EncodingKey::from_rsa_pem(RSA.0.as_bytes()), RSA.1),
        ("ES256", EncodingKey::from_ec_pem(EC.0.as_bytes()), EC.1),
        ("EdDSA", EncodingKey::from_ed_pem(ED.0.as_bytes()), ED.1),
    ];
    let tokens: Vec<(&str, String)> = keys
        .iter()
        .map(|(name, key, _)| (*name, sign(name, key.as_ref().expect("a key"))))
        .collect();
    for (name, _, public) in &keys {
        let key = JwtKey::PublicPem((*public).to_owned());
        let jwt = Jwt::new(&config(name, key)).expect(name);
        for (by, token) in &tokens {
            assert_eq!(believed(&jwt, token), by == name, "{by} for {name}");
        }
        assert!(!believed(&jwt, &signed(&good())));
    }
}

#[test]
fn a6_a_token_has_an_end_and_it_counts() {
    let jwt = hs256();
    for exp in [
        Value::Null,
        json!(NOW - 30),
        json!(NOW - 90),
        json!((NOW + 60).to_string()),
        json!(1e30),
        json!(-1),
        json!([NOW + 60]),
        json!(0),
        json!(f64::MAX),
    ] {
        let claims = with(&json!({ "exp": exp }));
        assert!(!believed(&jwt, &signed(&claims)), "{claims}");
    }
    assert!(believed(&jwt, &signed(&with(&json!({ "exp": NOW - 29 })))), "clocks may differ");
    assert!(jwt.caller(&signed(&good()), at(NOW + 3600)).is_none());
}

#[test]
fn a7_a_token_that_is_not_yet_valid_is_not_believed() {
    let jwt = hs256();
    for nbf in [json!(NOW + 3600), json!(NOW + 31), json!("soon"), json!([]), json!(1e300)] {
        assert!(!believed(&jwt, &signed(&with(&json!({ "nbf": nbf })))), "{nbf}");
    }
    for nbf in [json!(NOW), json!(NOW + 30), json!(-5)] {
        assert!(believed(&jwt, &signed(&with(&json!({ "nbf": nbf })))), "{nbf}");
    }
}

#[test]
fn a8_a_token_of_nobody_is_not_believed() {
    for sub in
        [Value::Null, json!(""), json!(7), json!(["u1"]), json!("a\u{0}b"), json!("x".repeat(256))]
    {
        let claims = with(&json!({ "sub": sub }));
        assert!(!believed(&hs256(), &signed(&claims)), "{claims}");
    }
}

#[test]
fn a9_issuer_and_audience_are_required_where_they_were_configured() {
    let strict = Jwt::new(&JwtConfig {
        issuer: Some("us".to_owned()),
        audience: Some("apflow".to_owned()),
        ..config("HS256", JwtKey::Secret(Secret::new(SECRET)))
    });
    let strict = strict.expect("a good key");
    let right = json!({ "iss": "us", "aud": "apflow" });
    assert!(believed(&strict, &signed(&with(&right))));
    assert!(believed(&strict, &signed(&with(&json!({"iss": "us", "aud": ["x", "apflow"]})))));
    for wrong in [
        json!({}),
        json!({"iss": "us"}),
        json!({"aud": "apflow"}),
        json!({"iss": "them", "aud": "apflow"}),
        json!({"iss": "us", "aud": "other"}),
        json!({"iss": "us", "aud": []}),
        json!({"iss": 1, "aud": "apflow"}),
    ] {
        assert!(!believed(&strict, &signed(&with(&wrong))), "{wrong}");
    }
    let aimed = signed(&with(&json!({"aud": "somebody else"})));
    assert!(!believed(&hs256(), &aimed), "what is for somebody is not for us");
}

#[test]
fn a10_a_header_that_asks_for_more_is_not_believed() {
    let jwt = hs256();
    assert!(believed(&jwt, &with_header(&json!({"alg": "HS256"}))));
    assert!(believed(&jwt, &with_header(&json!({"alg": "HS256", "typ": "at+jwt"}))));
    for more in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": null}),
        json!({"b64": false}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": 1}),
    ] {
        let mut header = json!({"alg": "HS256"});
        header.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("one"));
        assert!(!believed(&jwt, &with_header(&header)), "{header}");
    }
}

#[test]
fn a11_a_key_id_opens_nothing() {
    let jwt = hs256();
    for kid in ["../../dev/null", "' OR 1=1", "/etc/passwd"] {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        assert!(!believed(&jwt, &by("", &header, &good())), "{kid}");
        assert!(!believed(&jwt, &by(&"\0".repeat(32), &header, &good())), "{kid}");
        assert!(believed(&jwt, &by(SECRET, &header, &good())), "it is not looked at");
    }
    let long = Header { kid: Some("k".repeat(10_000)), ..Header::new(Algorithm::HS256) };
    assert!(!believed(&jwt, &by(SECRET, &long, &good())));
    let long = Header { kid: Some("k".repeat(300)), ..Header::new(Algorithm::HS256) };
    assert!(!believed(&jwt, &by(SECRET, &long, &good())));
}

#[test]
fn a12_a_large_or_broken_token_is_not_believed() {
    let jwt = hs256();
    let large = signed(&with(&json!({ "x": "y".repeat(9_000) })));
    assert!(!believed(&jwt, &large));
    let token = signed(&good());
    let (a, b) = token.split_at(10);
    for broken in
        ["", ".", "..", "...", "a.b.c", &format!("{a} {b}"), &format!("{token}."), &token[1..]]
    {
        assert!(!believed(&jwt, broken), "{broken}");
    }
}

#[test]
fn a14_a_short_secret_or_a_wrong_key_does_not_start() {
    for secret in ["", "secret", &"x".repeat(31)] {
        let refused = Jwt::new(&config("HS256", JwtKey::Secret(Secret::new(secret))));
        let error = refused.expect_err("it can be guessed");
        assert!(error.contains("32") && !error.contains("secret\""), "{error}");
        assert!(super::sign(&Secret::new(secret), "HS256", &Map::new()).is_err());
    }
    for (algorithm, key) in [
        ("none", JwtKey::Secret(Secret::new(SECRET))),
        ("HS257", JwtKey::Secret(Secret::new(SECRET))),
        ("RS256", JwtKey::Secret(Secret::new(SECRET))),
        ("RS256", JwtKey::PublicPem(EC.1.to_owned())),
        ("ES256", JwtKey::PublicPem(RSA.1.to_owned())),
        ("EdDSA", JwtKey::PublicPem(String::new())),
    ] {
        assert!(Jwt::new(&config(algorithm, key)).is_err(), "{algorithm}");
    }
}

#[test]
fn what_apflow_signs_apflow_believes_until_it_is_over() {
    let roles = ["admin".to_owned()];
    let claims = claims("u1", at(NOW), Duration::from_mins(10), &roles, true);
    let token = super::sign(&Secret::new(SECRET), "HS256", &claims).expect("signed");
    let caller = hs256().caller(token.reveal(), at(NOW)).expect("believed");
    assert_eq!((caller.admin, caller.read_only), (true, true));
    assert!(hs256().caller(token.reveal(), at(NOW + 631)).is_none());
    assert_eq!(claims["iss"], "apflow-cli");
    assert!(super::sign(&Secret::new(SECRET), "RS256", &claims).is_err());
}

#[test]
fn l3_debug_does_not_show_a_key() {
    let config = config("HS256", JwtKey::Secret(Secret::new(SECRET)));
    let shown = format!("{config:?} {:?}", hs256());
    assert!(!shown.contains("0123456789"), "{shown}");
}
