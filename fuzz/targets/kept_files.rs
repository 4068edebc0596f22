//! The files of the state folder: any octets are what was kept, or damage; what is read is written so that it is
//! read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::state::accounts::KeptAccounts;
use pop3d_core::state::apps::KeptApps;
use pop3d_core::state::settings::KeptSettings;
use pop3d_core::statistics::Totals;

fuzz_target!(|octets: &[u8]| {
    if let Ok(accounts) = KeptAccounts::parse(octets) {
        assert!(KeptAccounts::parse(accounts.text().as_bytes()) == Ok(accounts));
    }
    if let Ok(apps) = KeptApps::parse(octets) {
        assert!(KeptApps::parse(apps.text().as_bytes()) == Ok(apps));
    }
    if let Ok(settings) = KeptSettings::parse(octets)
        && let Ok(text) = settings.text()
    {
        assert!(KeptSettings::parse(text.as_bytes()) == Ok(settings));
    }
    if let Ok(totals) = Totals::from_text(&String::from_utf8_lossy(octets)) {
        assert!(Totals::from_text(&totals.to_text()) == Ok(totals));
    }
});
