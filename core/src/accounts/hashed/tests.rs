//! Hashes of every scheme, also those that other programs have made.

use proptest::prelude::*;

use super::*;

/// What `doveadm pw` made of "secret pass", cheap enough for tests.
const OF_DOVECOT: [&str; 18] = [
    "{PBKDF2}$1$KUiVl/3hnK3znWxv$5000$1201cb5476484e97249cd227e930699a91b5d9d2",
    "{SCRAM-SHA-256}4096,R7VfUqeSLPAs+M3J3IYeeQ==,+pcIQyMbUiez8FBw8KVPvtqB8cpIuTOunGn96xMfM54=,\
     VeyRLRUQWFijL5wsHIvtO3vzXKoFdmiXX5EZkpQ7A5A=",
    "{SCRAM-SHA-1}4096,p65vl60b99yjlUO9e5NUyw==,+WcByeTSemqEy6myhjD1/94pVJo=,jm0unprSSYMzXd/ZT7uyBg9sEUc=",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$LYdCIqLDpRmcoSqXmq4m1Q$xbf4csJKO16FqP8EYS9W1xEJs65tjorNXsuteeeBNWU",
    "{BLF-CRYPT}$2y$05$K8iVuMC/qvalPs/QmL9Auusoc1AxLTS/VoBiiemaZiSDtpo.x/nZy",
    "{SHA256-CRYPT}$5$HFzZ4gb2eYd67Nfj$z.LVOAlJl4ehRBBr6.Zz/q9VVryV7yak5ct2kM60nSB",
    "{SHA512-CRYPT}$6$a0X3p6HNWl307DYE$XgJ6Cxy6z/6hRk/lG.j4TSS6STUoM6sOhD1VztaoQv7PJdFW4mk7gXYXK4tGGyGLIfd0tXmNpnqTAsrqdqpOJ/",
    "{MD5-CRYPT}$1$Jme8BbDN$gkykoZYAWWjiqY3WtMycQ1",
    "{CRAM-MD5}XF6NvRBiaiVJnuSQfF99rSmR9uIJPETw9/hzKALjqWM=",
    "{PLAIN-MD5}IvSzZPZLqC+3ETWO8mF5gw==",
    "{SHA}O1hAcUlX7zkBbV+/3rmbDfUlbNM=",
    "{SHA256}eFK/tJPBgOyZKGDD9C7Y/PoQTL9IBeTfYFheYwo3OI8=",
    "{SHA512}lZ9yMft8fVHVJ+UzMKOj5CsbrM1iI0VwhldS4yvUgbjJWfSIKEZ5z02LkV6f3caZMpOHkByhFdL2tZ3hPvxlhA==",
    "{SMD5}C3CjxL9Em3r6wm1UwXp9yGlDZQU=",
    "{SSHA}Gt2MGf5trg6P4uEP7yV+Dzx4P4vI24zz",
    "{SSHA256}DbV+WFys13YueEJuSKsCtk2FjDd8w/bi1QRd+Rqp1u0y9GXH",
    "{SSHA512}BTCeGkQmJhqnlJZSkCUfe5Axs+E53nT21i4Z7ncUWKgL+NkyaiBxtCLwR0nZmb2ps3TtcWwgJCyWI0yvLvMine4X8zk=",
    "{MD5-CRYPT}$1$WgBMbXDp$OA1n6X1xbqmQ/aFqaiv6m/",
];

/// What it made of the same, in forms that are read and written in others.
const OF_DOVECOT_OTHERWISE: [&str; 10] = [
    "{MD5}$1$WgBMbXDp$OA1n6X1xbqmQ/aFqaiv6m/",
    "$1$WgBMbXDp$OA1n6X1xbqmQ/aFqaiv6m/",
    "{MD5}22f4b364f64ba82fb711358ef2617983",
    "{PLAIN-MD5}22f4b364f64ba82fb711358ef2617983",
    "{LDAP-MD5}IvSzZPZLqC+3ETWO8mF5gw==",
    "{sha1}O1hAcUlX7zkBbV+/3rmbDfUlbNM=",
    "{SHA256.HEX}7852bfb493c180ec992860c3f42ed8fcfa104cbf4805e4df60585e630a37388f",
    "{SSHA.HEX}e0166af2face62a272cb0562ff012b5d1f89707fed6e5063",
    "{CRAM-MD5}5c5e8dbd10626a25499ee4907c5f7dad2991f6e2093c44f0f7f8732802e3a963",
    "{HMAC-MD5.B64}XF6NvRBiaiVJnuSQfF99rSmR9uIJPETw9/hzKALjqWM=",
];

/// Of crypt(3), OpenSSL, passlib and the Argon2 reference implementation, each with its password.
const OF_OTHERS: [(&str, &str); 9] = [
    ("{CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", ""),
    ("{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"),
    (
        "{CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "Hello world!",
    ),
    (
        "{CRYPT}$6$rounds=1000$abc$1QXXVHb4htNJWMU16JXn.ik4nGZ71fonOij9haQmnUBiRYEw2ww9/RLDwZUGyS.F520ikn4pbIvZDOq2A/Kl9/",
        "p\u{e4}ss",
    ),
    ("{CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
    ("{bcrypt}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
    (
        "{scrypt}$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
        "password",
    ),
    (
        "{CRYPT}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "password",
    ),
    ("{PBKDF2}$1$saltsaltsaltsalt$1000$1a5de175888a46acde808eef2c6bc51be03cf4dd", "secret"),
];

fn parse(text: &str) -> Hashed {
    Hashed::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_hash_is_made_with_its_named_costs_and_a_salt_of_its_own() {
    let (hashed, other) = (hash(b"secret").unwrap(), hash(b"secret").unwrap());
    assert!(hashed.stored().starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_ne!(hashed, other);
    assert!(hashed.verify(b"secret") && other.verify(b"secret") && !hashed.verify(b"secre"));
    let read = Hashed::parse(hashed.stored().as_bytes()).unwrap();
    assert_eq!(read, hashed);
    assert_eq!(read.cost(), hashed.cost());
    assert_eq!(format!("{hashed:?}"), "Hashed");
    assert!(!read.is_weak());
}

#[test]
fn a_hash_of_every_scheme_is_made_and_read_again() {
    for scheme in Scheme::made() {
        let made = hash_by(scheme, "s\u{e4}cret".as_bytes()).unwrap();
        assert_eq!(made.scheme(), scheme);
        let read = parse(&made.stored());
        assert_eq!(read, made);
        assert!(read.verify("s\u{e4}cret".as_bytes()), "{}", made.stored());
        assert!(!read.verify(b"secret") && !read.verify(b""));
    }
    for (scheme, password) in [(Scheme::Bcrypt, vec![b'x'; 73]), (Scheme::Sha512Crypt, b"a\0b".to_vec())] {
        assert!(hash_by(scheme, &password).is_err());
    }
    for scheme in Scheme::ALL.into_iter().filter(|scheme| !scheme.is_made()) {
        assert!(hash_by(scheme, b"x").unwrap_err().to_string().contains("read, not made"), "{scheme:?}");
    }
}

#[test]
fn the_hashes_of_dovecot_are_those_of_their_password() {
    for text in OF_DOVECOT {
        let hashed = parse(text);
        assert_eq!(hashed.stored(), text);
        assert!(hashed.verify(b"secret pass"), "{text}");
        assert!(!hashed.verify(b"secret pas") && !hashed.verify(b"secret pass "), "{text}");
        assert!(hashed.is_weak() != text.starts_with("{SCRAM"), "{text}");
    }
    for text in OF_DOVECOT_OTHERWISE {
        let hashed = parse(text);
        assert!(hashed.verify(b"secret pass") && !hashed.verify(b"secret pas") && hashed.is_weak(), "{text}");
        assert_eq!(parse(&hashed.stored()), hashed, "{text}");
    }
}

#[test]
fn the_hashes_of_other_programs_are_those_of_their_password() {
    for (text, password) in OF_OTHERS {
        let hashed = parse(text);
        assert_eq!(hashed.verify(password.as_bytes()), !password.is_empty(), "{text}");
        assert!(!hashed.verify(b"another"), "{text}");
        assert_eq!(parse(&hashed.stored()), hashed);
    }
}

#[test]
fn what_a_string_cannot_be_is_no_password() {
    let long = vec![b'x'; 513];
    for scheme in [Scheme::Bcrypt, Scheme::Sha256Crypt, Scheme::ScramSha256] {
        // Cheap ones of the same kind.
        let text = match scheme {
            Scheme::Bcrypt => OF_OTHERS[4].0,
            Scheme::Sha256Crypt => OF_OTHERS[1].0,
            _ => OF_DOVECOT[1],
        };
        let password = if scheme == Scheme::Bcrypt { &b"U*U"[..] } else { b"secret pass" };
        let hashed = parse(text);
        for behind in [&b"\0"[..], b"\0x", &[b"\0", password].concat(), &long] {
            assert!(!hashed.verify(&[password, behind].concat()), "{text}");
        }
        assert!(!hashed.verify(&long));
    }
    // A password of which only the beginning counts is that of its hash, as everywhere.
    let of_72 = parse(&{
        let parts = bcrypt::hash_with_salt([b'x'; 72], 4, [7; 16]).unwrap();
        format!("{{BLF-CRYPT}}{}", parts.format_for_version(bcrypt::Version::TwoY))
    });
    assert!(of_72.verify(&[b'x'; 80]) && !of_72.verify(&[b'x'; 71]));
}

#[test]
fn a_secret_may_be_encoded() {
    let text = OF_DOVECOT[5].strip_prefix("{SHA256-CRYPT}").unwrap();
    let encoded = Base64::encode_string(text.as_bytes());
    for name in ["SHA256-CRYPT.b64", "sha256-crypt.BASE64", "CRYPT.b64"] {
        assert!(parse(&format!("{{{name}}}{encoded}")).verify(b"secret pass"));
    }
    let digits: String = text.bytes().map(|octet| format!("{octet:02X}")).collect();
    assert!(parse(&format!("{{SHA256-CRYPT.hex}}{digits}")).verify(b"secret pass"));
    for (wrong, error) in [
        ("{CRYPT.b64}$6$", SchemeError::BadEncoding),
        ("{CRYPT.hex}abc", SchemeError::BadEncoding),
        ("{CRYPT.hex}+1", SchemeError::BadEncoding),
        ("{CRYPT.b32}ab", SchemeError::UnknownScheme),
    ] {
        assert_eq!(Hashed::parse(wrong.as_bytes()), Err(error), "{wrong}");
    }
}

#[test]
fn a_hash_that_is_none_or_costs_too_much_is_named() {
    let hash_of = |length| "a".repeat(length);
    for (scheme, text) in [
        (
            Scheme::Argon2i,
            "{ARGON2I}$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
                .to_owned(),
        ),
        (
            Scheme::Bcrypt,
            "{BLF-CRYPT}$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        ),
        (
            Scheme::Bcrypt,
            "{BLF-CRYPT}$2y$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        ),
        (
            Scheme::Bcrypt,
            "{BLF-CRYPT}$2y$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        ),
        (Scheme::Bcrypt, "{BLF-CRYPT}$2y$05$CCCC".to_owned()),
        (Scheme::Sha512Crypt, format!("{{SHA512-CRYPT}}$6$salt${}", hash_of(85))),
        (Scheme::Sha512Crypt, format!("{{SHA512-CRYPT}}$5$salt${}", hash_of(86))),
        (Scheme::Sha256Crypt, format!("{{SHA256-CRYPT}}$5$rounds=10$salt${}", hash_of(43))),
        (Scheme::Sha256Crypt, format!("{{SHA256-CRYPT}}$5$rounds=x$salt${}", hash_of(43))),
        (Scheme::Sha256Crypt, format!("{{SHA256-CRYPT}}$5${}${}", hash_of(17), hash_of(43))),
        (Scheme::Sha256Crypt, format!("{{SHA256-CRYPT}}$5$salt${}$", hash_of(42))),
        (Scheme::Pbkdf2, "{PBKDF2}$1$salt$0$1201cb5476484e97249cd227e930699a91b5d9d2".to_owned()),
        (Scheme::Pbkdf2, "{PBKDF2}$1$salt$5000$1201cb5476484e97249cd227e930699a91b5d9".to_owned()),
        (Scheme::Pbkdf2, "{PBKDF2}$2$salt$5000$1201cb5476484e97249cd227e930699a91b5d9d2".to_owned()),
        (Scheme::ScramSha1, OF_DOVECOT[1].replace("SHA-256", "SHA-1")),
        (Scheme::ScramSha1, OF_DOVECOT[2].replace("4096", "4095")),
        (Scheme::ScramSha1, format!("{},", OF_DOVECOT[2])),
        (
            Scheme::Scrypt,
            "{SCRYPT}$scrypt$ln=0,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
                .to_owned(),
        ),
        (
            Scheme::Scrypt,
            "{SCRYPT}$scrypt$ln=16,r=8$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
                .to_owned(),
        ),
        (Scheme::Md5Crypt, format!("{{MD5-CRYPT}}$1$salt${}", hash_of(21))),
        (Scheme::Md5Crypt, format!("{{MD5-CRYPT}}$1${}${}", hash_of(9), hash_of(22))),
        (Scheme::Md5Crypt, format!("{{CRYPT}}$1$salt${}:", hash_of(21))),
        (Scheme::Digest(Digest::Md5), "{MD5}22f4b364f64ba82fb711358ef26179".to_owned()),
        (Scheme::Digest(Digest::Sha1), "{SHA}Gt2MGf5trg6P4uEP7yV+Dzx4P4vI24zz".to_owned()),
        (Scheme::Digest(Digest::Sha256), "{SHA256}O1hAcUlX7zkBbV+/3rmbDfUlbNM=".to_owned()),
        (Scheme::Digest(Digest::Sha512), format!("{{SHA512}}{}", "g".repeat(128))),
        (Scheme::SaltedDigest(Digest::Sha1), "{SSHA}O1hAcUlX7zkBbV+/3rmbDfUlbNM=".to_owned()),
        (Scheme::SaltedDigest(Digest::Sha1), "{SSHA}O1hAcUlX7zkBbV+/3rmbDfU=".to_owned()),
        (Scheme::SaltedDigest(Digest::Md5), format!("{{SMD5.hex}}{}", "0".repeat(2 * (16 + 65)))),
        (Scheme::CramMd5, format!("{{CRAM-MD5}}{}", "0".repeat(62))),
    ] {
        assert_eq!(Hashed::parse(text.as_bytes()), Err(SchemeError::BadHash(scheme)), "{text}");
        assert!(SchemeError::BadHash(scheme).to_string().contains(scheme.as_str()));
    }
    for (scheme, text) in [
        (Scheme::Argon2id, "{ARGON2ID}$argon2id$v=19$m=64,t=1,p=17$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned().replace("m=64", "m=1024")),
        (Scheme::Bcrypt, "{BLF-CRYPT}$2y$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned()),
        (Scheme::Sha512Crypt, format!("{{SHA512-CRYPT}}$6$rounds=2000001$salt${}", hash_of(86))),
        (Scheme::Sha512Crypt, format!("{{SHA512-CRYPT}}$6$rounds=99999999999999$salt${}", hash_of(86))),
        (Scheme::Pbkdf2, "{PBKDF2}$1$salt$10000001$1201cb5476484e97249cd227e930699a91b5d9d2".to_owned()),
        (Scheme::ScramSha256, OF_DOVECOT[1].replace("4096", "4294967296")),
        (Scheme::Scrypt, "{SCRYPT}$scrypt$ln=19,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E".to_owned()),
        (Scheme::Scrypt, "{SCRYPT}$scrypt$ln=63,r=4294967295,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E".to_owned()),
        (Scheme::Scrypt, "{SCRYPT}$scrypt$ln=4,r=8,p=17$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E".to_owned()),
    ] {
        assert_eq!(Hashed::parse(text.as_bytes()), Err(SchemeError::TooCostly(scheme)), "{text}");
    }
    for (text, error) in [
        ("{ROT13}x", SchemeError::UnknownScheme),
        ("{PLAIN}x", SchemeError::UnknownScheme),
        ("{CRYPT}x", SchemeError::UnknownCrypt),
        ("{CRYPT}$2$abc$x", SchemeError::UnknownCrypt),
        ("{CRYPT}ab3JVXwbwCjGA", SchemeError::UnknownCrypt),
        ("{DIGEST-MD5}22f4b364f64ba82fb711358ef2617983", SchemeError::UnknownScheme),
        ("{CRYPT}$y$j9T$abc$x", SchemeError::UnknownCrypt),
    ] {
        assert_eq!(Hashed::parse(text.as_bytes()), Err(error), "{text}");
    }
}

#[test]
fn a_hash_of_any_scheme_and_form_can_be_spent() {
    let argon2 = [
        "$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q",
        "$v=16$m=64,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$m=8,t=1,p=1,keyid=Hj5+dsK0,data=sRlHhRmKUGzdOmXn01XmXygd5Kc$c29tZXNhbHQ$\
         iPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsMiPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsA",
    ];
    let argon2 = argon2.map(|form| format!("{{ARGON2ID}}$argon2id{form}"));
    let others = OF_OTHERS.iter().map(|(text, _)| (*text).to_owned());
    for text in argon2.into_iter().chain(OF_DOVECOT.map(str::to_owned)).chain(others) {
        for password in [&b"wrong"[..], b"", b"a\0", &[b'x'; 1000]] {
            assert!(parse(&text).cost().spend(password, &[0; 16]), "{text}");
        }
    }
}

#[test]
fn a_salt_of_another_length_is_another_cost_where_rounds_hash_it() {
    for (prefix, of_dovecot) in [("{SHA256-CRYPT}$5$", OF_DOVECOT[5]), ("{SHA512-CRYPT}$6$", OF_DOVECOT[6])] {
        let hash = of_dovecot.rsplit('$').next().unwrap();
        let with = |salt: &str| parse(&format!("{prefix}{salt}${hash}"));
        assert_eq!(with("saltsalt").cost(), with("altsalts").cost());
        assert_ne!(with("saltsalt").cost(), with("saltsaltsaltsalt").cost());
    }
}

proptest! {
    #[test]
    fn no_secret_panics_and_what_is_read_is_written_alike(
        scheme in proptest::sample::select(Scheme::ALL.to_vec()),
        text in "[$=,a-z0-9./+]{0,80}",
        cut in any::<proptest::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let of_dovecot = OF_DOVECOT[cut.index(OF_DOVECOT.len())];
        let mut changed = of_dovecot.as_bytes().to_vec();
        let place = cut.index(changed.len());
        changed[place] = octet;
        for stored in [format!("{{{}}}{text}", scheme.as_str()).into_bytes(), changed] {
            if let Ok(hashed) = Hashed::parse(&stored) {
                prop_assert_eq!(Hashed::parse(hashed.stored().as_bytes()), Ok(hashed));
            }
        }
    }
}
