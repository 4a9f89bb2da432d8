//! Networks as the document writes them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::Serializer;

use crate::domain::text::excerpt;

/// As the document writes it: the bare address where it is a network of one.
pub(super) fn write(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

pub(super) fn written(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(write).collect()
}

pub(super) fn serialize<S: Serializer>(networks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(write))
}

/// Reads an address or a CIDR network. v4-mapped v6 becomes v4; a network whose address has bits
/// beyond its mask is refused, for nobody can tell which of the two was meant.
pub(super) fn read(text: &str) -> Result<IpNet, String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(format!(
            "`{}` is neither an IP address nor a network such as 10.0.0.0/8 or 2001:db8::/32",
            excerpt(text)
        ));
    };
    let Some(length) = length else {
        return Ok(IpNet::from(address.to_canonical()));
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let network = match prefix_length(length).map(|length| IpNet::new(address, length)) {
        Some(Ok(network)) => network,
        _ => {
            return Err(format!(
                "`{}`: the length after the slash is a number from 0 to {most}",
                excerpt(text)
            ));
        }
    };
    if network.trunc() != network {
        let (right, single) = (write(&canonical(network.trunc())), address.to_canonical());
        return Err(format!(
            "`{}` has address bits beyond its mask; write {right} for the network or {single} for the address",
            excerpt(text)
        ));
    }
    Ok(canonical(network))
}

/// Digits only: no sign and no leading zero.
fn prefix_length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// A network within `::ffff:0:0/96` as the v4 network that it stands for.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4: Option<Ipv4Addr> = v6.addr().to_ipv4_mapped();
    let v4 = v4.zip(v6.prefix_len().checked_sub(96));
    match v4.map(|(address, length)| Ipv4Net::new(address, length)) {
        Some(Ok(v4)) => IpNet::V4(v4),
        _ => network,
    }
}
