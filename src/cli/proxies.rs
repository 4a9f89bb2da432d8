//! `--trusted-proxy`: whose word counts on where a call comes from.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use super::error::CliError;
use crate::domain::policy::field::parse_network;

/// Those whose word on who the client is counts. All of the internet among them is nobody's meaning: then every client
/// would say for itself where it comes from. Networks that cover it together are no better than one that does.
pub fn networks(texts: &[String]) -> Result<Vec<IpNet>, CliError> {
    let wrong = |why: String| CliError::usage(format!("--trusted-proxy: {why}"));
    let networks: Vec<_> = texts
        .iter()
        .map(|text| parse_network(text).map_err(|error| wrong(error.to_string())))
        .collect::<Result<_, _>>()?;
    let covers_a_world = |network: &IpNet| match network {
        IpNet::V4(network) => network.prefix_len() == 0,
        // 2000::/3 is all that is handed out (RFC 4291 §2.4).
        IpNet::V6(network) => {
            network.contains(&Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3))
        }
    };
    match IpNet::aggregate(&networks).iter().find(|network| covers_a_world(network)) {
        None => Ok(networks),
        Some(_) => Err(wrong(format!(
            "{} trusts every address there is, so that each client could say where it comes from; name the proxies \
             alone",
            texts.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Code;

    #[test]
    fn a_network_is_read_as_policies_read_it_and_never_is_all_of_the_internet() {
        for (text, advice) in [
            ("10.0.0.5/8", "write 10.0.0.0/8 for the network or 10.0.0.5 for the address"),
            ("::ffff:10.0.0.5/104", "write 10.0.0.0/8 for the network or 10.0.0.5 for the address"),
            ("2001:db8::1/32", "write 2001:db8::/32 for the network or 2001:db8::1 for the address"),
            ("10.0.0.0/+8", "from 0 to 32"),
        ] {
            let error = networks(&[text.into()]).unwrap_err();
            assert!(error.code == Code::Usage && error.message.contains(advice), "{text}: {error}");
        }
        for world in
            [&["0.0.0.0/0"][..], &["::/0"], &["2000::/3"], &["::ffff:0:0/96"], &["0.0.0.0/1", "128.0.0.0/1"]]
        {
            let given: Vec<String> = world.iter().map(|text| (*text).to_owned()).collect();
            let error = networks(&given).unwrap_err();
            assert!(
                error.code == Code::Usage && error.message.contains("every address"),
                "{world:?}: {error}"
            );
        }
        for honest in ["10.0.0.5", "10.0.0.0/8", "::1", "fd00::/8", "2001:db8::/32", "0.0.0.0/1"] {
            assert_eq!(networks(&[honest.into()]).unwrap().len(), 1, "{honest}");
        }
    }
}
