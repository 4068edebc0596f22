//! Values of the configuration that are more than a string, with errors that say what is understood: durations, sizes,
//! addresses, passwords.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use pop3d_core::accounts::{self, Secret};
use pop3d_core::nets::Net;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// A duration: seconds as a number, or "30s", "10m", "1h 30m".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Time(pub(crate) Duration);

/// Octets: a number, or "64KiB", "200MiB", "1GB".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size(pub(crate) u64);

/// A program and its arguments: a list, or a text whose words stand between spaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a program with its arguments, as text or as a list of words")]
pub(crate) enum Words {
    Text(String),
    List(Vec<String>),
}

impl Words {
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Self::List(words) => words.clone(),
        }
    }
}

/// The name or the number of a user or a group of the system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NameOrNumber(pub(crate) String);

/// An address and a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address(pub(crate) SocketAddr);

/// A net of addresses, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NetText(pub(crate) Net);

/// A password, or `{SCHEME}secret`. Neither `Debug` nor an error shows it.
#[derive(Debug)]
pub(crate) struct Password(pub(crate) Secret);

impl Password {
    pub(super) fn new(text: &str) -> Self {
        Self(Secret::new(text.as_bytes()))
    }

    /// Whether it is a password, not the hash of one.
    pub(crate) fn is_plain(&self) -> bool {
        accounts::tells_password(self.0.octets())
    }
}

/// A value of which 0 would mean nothing.
pub(crate) trait Zero {
    fn is_zero(&self) -> bool;
}

impl Zero for Time {
    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl Zero for Size {
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Zero for u16 {
    fn is_zero(&self) -> bool {
        *self == 0
    }
}

impl Zero for usize {
    fn is_zero(&self) -> bool {
        *self == 0
    }
}

/// Reads a value that is not 0, for `deserialize_with`.
pub(crate) fn positive<'de, D: Deserializer<'de>, T: Deserialize<'de> + Zero>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = T::deserialize(deserializer)?;
    if value.is_zero() { Err(D::Error::custom("this must be more than 0")) } else { Ok(Some(value)) }
}

/// The longest duration that is understood: a hundred years, which no clock overflows with.
const TIME_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Time;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration such as \"30s\" or \"10m\", or seconds as a number")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
                let seconds = u64::try_from(seconds).map_err(|_| E::custom("a duration is not negative"))?;
                bounded(Duration::from_secs(seconds))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let duration = humantime::parse_duration(text)
                    .map_err(|_| E::custom(format!("\"{text}\" is no duration, write \"30s\" or \"10m\"")))?;
                bounded(duration)
            }
        }

        fn bounded<E: Error>(duration: Duration) -> Result<Time, E> {
            if duration > TIME_MAX {
                Err(E::custom("that is longer than 100 years"))
            } else {
                Ok(Time(duration))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Size;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size such as \"64KiB\" or \"200MiB\", or octets as a number")
            }

            fn visit_i64<E: Error>(self, octets: i64) -> Result<Size, E> {
                u64::try_from(octets).map(Size).map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                parse_size(text)
                    .ok_or_else(|| E::custom(format!("\"{text}\" is no size, write \"64KiB\" or \"200MiB\"")))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = NameOrNumber;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name between quotes, or a number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<NameOrNumber, E> {
                let number = u32::try_from(number);
                let number = number.map_err(|_| E::custom("a number of a user or group is 0 to 4294967295"));
                number.map(|number| NameOrNumber(number.to_string()))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber(name.to_owned()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Address;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an address and a port such as \"127.0.0.1:1110\" or \"[::]:1110\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
                text.parse().map(Address).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

impl<'de> Deserialize<'de> for NetText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = NetText;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a net such as \"192.0.2.0/24\", or an address")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NetText, E> {
                text.parse().map(NetText).map_err(E::custom)
            }
        }

        // Within the reader, so that an error knows its place.
        deserializer.deserialize_str(Reader)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        // Every kind of value is met here, since the error for one that is not would repeat it.
        impl Visitor<'_> for Reader {
            type Value = Password;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a password between quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Password, E> {
                Ok(Password::new(text))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Password, E> {
                Err(E::invalid_type(Unexpected::Other("a number"), &self))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Password, E> {
                Err(E::invalid_type(Unexpected::Other("a number"), &self))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

fn parse_size(text: &str) -> Option<Size> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).map(Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        let size = |text| parse_size(text).map(|size| size.0);
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("200 MiB"), Some(200 << 20));
        assert_eq!(size("1GB"), Some(1_000_000_000));
        assert_eq!(size("7"), Some(7));
        for wrong in ["", "KiB", "-1", "1.5MiB", "1 mile", "99999999999999999999", "99999999TiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
