//! `[proxy]`: where balancers connect, which say by the PROXY protocol for whom they speak; and from where proxies come that say
//! it by XCLIENT.

use pop3d_core::nets::Nets;
use serde::Deserialize;
use toml::Spanned;

use super::File;
use super::values::{Address, NetText};
use crate::exit::Exit;

/// The table as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// TCP addresses where each connection begins with a header.
    #[serde(default)]
    pub(crate) listen: Vec<Spanned<Address>>,
    /// The same, where clients begin with TLS behind the header.
    #[serde(default)]
    pub(crate) pop3s_listen: Vec<Spanned<Address>>,
    /// Who is believed.
    nets: Option<Spanned<Vec<Spanned<NetText>>>>,
    /// Who is believed when it says so by XCLIENT, at any port of POP3.
    #[serde(default)]
    xclient_nets: Vec<Spanned<NetText>>,
}

impl Table {
    /// Who has XCLIENT.
    pub(super) fn trusted(&self) -> Nets {
        self.xclient_nets.iter().map(|net| net.as_ref().0).collect()
    }

    /// Who is believed.
    ///
    /// # Errors
    /// Where balancers are listened for and none is: then nobody could come in.
    pub(super) fn nets(&self, file: &File) -> Result<Nets, Exit> {
        let nets: &[Spanned<NetText>] = self.nets.as_ref().map_or(&[], |nets| nets.as_ref());
        if let (Some(listen), []) = (self.listen.first().or(self.pop3s_listen.first()), nets) {
            let what = "no balancer is trusted: name their nets in [proxy], such as nets = [\"192.0.2.10\"]";
            return Err(file.error(listen.span(), what));
        }
        Ok(nets.iter().map(|net| net.as_ref().0).collect())
    }
}
