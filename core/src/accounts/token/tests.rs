//! Tokens that openssl signed, and those that are made to be taken for good ones.

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use proptest::prelude::*;
use ring::hmac;

use super::*;

/// Made by `openssl genpkey`, `openssl pkey -pubout`; the tokens by `openssl dgst -sign` and `openssl pkeyutl -sign`. Their
/// claims: issuer "https://id.example", audience "pop3", subject "user", to the year 2100.
const RSA: &[u8] = include_bytes!("tests/rsa.pem");
const EC: &[u8] = include_bytes!("tests/ec.pem");
const ED: &[u8] = include_bytes!("tests/ed.pem");
const SET: &[u8] = include_bytes!("tests/set.json");
const OF_RSA: &str = include_str!("tests/rsa.jwt");
const OF_RSA_BY_NAME: &str = include_str!("tests/rsa_kid.jwt");
const OF_EC: &str = include_str!("tests/ec.jwt");
const OF_ED: &str = include_str!("tests/ed.jwt");

const SECRET: &[u8] = b"a secret of thirty-two octets...";

fn keys() -> TokenKeys {
    let (issuers, audiences) = (vec!["https://id.example".to_owned()], vec!["pop3".to_owned()]);
    TokenKeys::new(issuers, audiences, "sub", Duration::from_secs(60))
}

fn with_secret() -> TokenKeys {
    let mut keys = keys();
    keys.add_secret(SECRET).unwrap();
    keys
}

fn with_public(text: &[u8]) -> TokenKeys {
    let mut keys = keys();
    keys.add_public(text).unwrap();
    keys
}

fn user(keys: &TokenKeys, token: &str) -> Option<String> {
    keys.user(token.trim_end()).map(|user| user.to_string())
}

/// A token of these parts, signed with a key by HMAC and SHA-256.
fn signed(header: &str, claims: &str, key: &[u8]) -> String {
    let encode = |octets: &[u8]| Base64UrlUnpadded::encode_string(octets);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}

const HS256: &str = r#"{"alg":"HS256"}"#;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Good claims, with these in place of theirs or beside them; `null` takes one away.
fn claims(changes: &[(&str, Value)]) -> String {
    let good = [("iss", "https://id.example".into()), ("aud", "pop3".into()), ("sub", "user".into())];
    let mut claims: Map<String, Value> =
        good.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    claims.insert("exp".to_owned(), (now() + 3600).into());
    for (name, value) in changes {
        claims.insert((*name).to_owned(), value.clone());
    }
    claims.retain(|_, value| !value.is_null());
    Value::Object(claims).to_string()
}

#[test]
fn each_kind_of_key_is_good_for_its_own_tokens() {
    let tokens = [OF_RSA, OF_EC, OF_ED];
    for (place, key) in [RSA, EC, ED].into_iter().enumerate() {
        let keys = with_public(key);
        for (of, token) in tokens.into_iter().enumerate() {
            assert_eq!(user(&keys, token).is_some(), of == place, "key {place}, token {of}");
        }
    }
    let set = with_public(SET);
    for token in [OF_RSA, OF_RSA_BY_NAME, OF_EC, OF_ED] {
        assert_eq!(user(&set, token).as_deref(), Some("user"));
    }
    assert_eq!(set.algorithms().into_iter().collect::<Vec<_>>(), ["ES256", "EdDSA", "RS256"]);
    assert_eq!(user(&with_secret(), &signed(HS256, &claims(&[]), SECRET)).as_deref(), Some("user"));
}

#[test]
fn any_octet_that_is_another_spoils_a_token() {
    for (keys, token) in [(with_public(RSA), OF_RSA), (with_public(EC), OF_EC), (with_public(ED), OF_ED)] {
        let token = token.trim_end();
        // The last character has bits that mean nothing, and must be 0.
        for place in (0..token.len()).step_by(7).chain([token.len() - 1]) {
            let mut octets = token.as_bytes().to_vec();
            octets[place] = if octets[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(user(&keys, str::from_utf8(&octets).unwrap()), None, "{place}");
        }
        assert_eq!(user(&keys, &format!("{token}=")), None);
        assert_eq!(user(&keys, &format!("{token}.")), None);
        assert_eq!(user(&keys, token.rsplit_once('.').unwrap().0), None);
    }
}

#[test]
fn no_algorithm_and_another_one_than_the_keys_are_refused() {
    let mut keys = with_public(SET);
    let good = claims(&[]);
    // The public key as it stands in its file, and as its octets are, is no secret.
    for secret in [RSA, EC, ED, RSA.trim_ascii_end(), SET] {
        assert_eq!(user(&keys, &signed(HS256, &good, secret)), None);
    }
    keys.add_secret(SECRET).unwrap();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":""}"#,
        r#"{}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","kid":1}"#,
    ] {
        assert_eq!(user(&keys, &signed(header, &good, SECRET)), None, "{header}");
        let unsigned = signed(header, &good, SECRET);
        let unsigned = unsigned.rsplit_once('.').unwrap().0;
        assert_eq!(user(&keys, &format!("{unsigned}.")), None, "{header}");
    }
    // A key that a token brings along is nobody's.
    let brought = format!(r#"{{"alg":"RS256","jwk":{}}}"#, String::from_utf8_lossy(SET));
    assert_eq!(user(&keys, &signed(&brought, &good, SECRET)), None);
    assert_eq!(user(&keys, &signed(HS256, &good, SECRET)).as_deref(), Some("user"));
    assert_eq!(user(&keys, &signed(HS256, &good, b"another secret of as many octets")), None);
}

#[test]
fn the_name_of_a_key_chooses_among_those_of_a_set() {
    let named = String::from_utf8_lossy(SET).replace("\"one\"", "\"two\"");
    let keys = with_public(named.as_bytes());
    assert_eq!(user(&keys, OF_RSA_BY_NAME), None);
    assert_eq!(user(&keys, OF_RSA).as_deref(), Some("user"));
    assert_eq!(user(&with_public(RSA), OF_RSA_BY_NAME).as_deref(), Some("user"));
}

#[test]
fn a_token_is_of_its_issuer_for_its_audience_and_in_its_time() {
    let keys = with_secret();
    let says = |changes: &[(&str, Value)]| user(&keys, &signed(HS256, &claims(changes), SECRET));
    let list = |items: &[&str]| Value::from(items.to_vec());
    for good in [
        &[][..],
        &[("aud", list(&["other", "pop3"]))],
        &[("exp", (now() - 30).into())],
        &[("nbf", (now() + 30).into())],
        &[("nbf", (now() - 3600).into())],
    ] {
        assert_eq!(says(good).as_deref(), Some("user"), "{good:?}");
    }
    for bad in [
        &[("iss", "https://other.example".into())][..],
        &[("iss", Value::Null)],
        &[("iss", 1.into())],
        &[("iss", list(&["https://id.example"]))],
        &[("aud", "imap".into())],
        &[("aud", Value::Null)],
        &[("aud", list(&[]))],
        &[("aud", 1.into())],
        &[("exp", (now() - 120).into())],
        &[("exp", Value::Null)],
        &[("exp", "4102444800".into())],
        &[("exp", (-1).into())],
        &[("nbf", (now() + 120).into())],
        &[("nbf", "0".into())],
        &[("sub", Value::Null)],
        &[("sub", 1.into())],
        &[("sub", "".into())],
        &[("sub", "../user".into())],
        &[("sub", list(&["user"]))],
    ] {
        assert_eq!(says(bad), None, "{bad:?}");
    }
    assert_eq!(user(&keys, &signed(HS256, "no JSON", SECRET)), None);
    assert_eq!(user(&keys, &signed(HS256, "[]", SECRET)), None);
    assert_eq!(says(&[("sub", "mu\u{308}ller".into())]).as_deref(), Some("m\u{fc}ller"));
}

#[test]
fn what_is_no_key_is_an_error() {
    let mut keys = keys();
    assert_eq!(keys.add_secret(b"short\n"), Err(KeyError::ShortSecret));
    assert_eq!(keys.add_secret(&[&SECRET[1..], b"\r\n"].concat()), Err(KeyError::ShortSecret));
    assert_eq!(keys.add_public(b""), Err(KeyError::NoKey));
    assert_eq!(keys.add_public(b"{}"), Err(KeyError::NoKey));
    assert_eq!(keys.add_public(b"{\"keys\":[]}"), Err(KeyError::NoneOfSet));
    assert_eq!(keys.add_public(include_bytes!("tests/short.pem")), Err(KeyError::Kind));
    assert_eq!(keys.add_public(include_bytes!("tests/p384.pem")), Err(KeyError::Kind));
    // Of other curves, and as long as one of P-256.
    assert_eq!(keys.add_public(include_bytes!("tests/secp256k1.pem")), Err(KeyError::Kind));
    assert_eq!(keys.add_public(include_bytes!("tests/brainpool.pem")), Err(KeyError::Kind));
    let other_use = String::from_utf8_lossy(SET).replace("\"sig\"", "\"enc\"").replace("ES256", "ES384");
    keys.add_public(other_use.as_bytes()).unwrap();
    assert_eq!(keys.algorithms().into_iter().collect::<Vec<_>>(), ["EdDSA"]);
    let secrets = r#"{"keys":[{"kty":"oct","k":"YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBvY3RldHMuLi4"}]}"#;
    assert_eq!(keys.add_public(secrets.as_bytes()), Err(KeyError::NoneOfSet));
    for _ in 1..32 {
        keys.add_secret(SECRET).unwrap();
    }
    assert_eq!(keys.add_secret(SECRET), Err(KeyError::TooMany));
}

proptest! {
    #[test]
    fn no_token_and_no_file_of_keys_panics(token in "[A-Za-z0-9._={}-]{0,80}", text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut keys = with_secret();
        prop_assert_eq!(keys.user(&token), None);
        let _ = keys.add_public(&text);
    }
}
