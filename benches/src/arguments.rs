//! What several programs read from their command line.

use std::time::Duration;

/// Longest time that can be asked for, in seconds.
const SECONDS_MAX: f64 = 600.0;

/// Reads seconds, with or without a fraction.
///
/// # Errors
/// What may be written, where it is not that.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err(format!("seconds, up to {SECONDS_MAX}")),
    }
}
