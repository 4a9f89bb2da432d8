//! What a policy admits, against plain models.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use proptest::prelude::*;

use super::*;

fn compiled(change: impl FnOnce(&mut Policy)) -> Arc<CompiledPolicy> {
    let mut policy = named("p");
    change(&mut policy);
    CompiledPolicy::new(policy, 1).unwrap()
}

fn addresses(whitelist: &str, blacklist: &str) -> Arc<CompiledPolicy> {
    compiled(|policy| {
        policy.ip_restrictions.whitelist = field::parse_networks_line(whitelist).unwrap();
        policy.ip_restrictions.blacklist = field::parse_networks_line(blacklist).unwrap();
    })
}

#[test]
fn the_blacklist_beats_the_whitelist() {
    for (whitelist, blacklist, address, allowed) in [
        ("", "", "1.2.3.4", true),
        ("", "", "unknown", true),
        ("", "9.9.9.9", "unknown", false),
        ("9.9.9.9", "", "unknown", false),
        ("10.0.0.0/8", "", "10.255.255.255", true),
        ("10.0.0.0/8", "", "11.0.0.0", false),
        ("10.0.0.0/8", "", "::ffff:10.0.0.1", true),
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", false),
        ("10.0.0.0/8", "10.1.0.0/16", "10.2.0.1", true),
        ("10.1.0.1", "10.0.0.0/8", "10.1.0.1", false),
        ("", "10.0.0.0/8", "::ffff:10.0.0.1", false),
        ("", "::ffff:10.0.0.1", "10.0.0.1", false),
        ("::/0", "", "1.2.3.4", false),
        ("2001:db8::/32", "", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "", "2001:db9::1", false),
    ] {
        let policy = addresses(whitelist, blacklist);
        assert_eq!(
            policy.allows_address(address.parse().ok()),
            allowed,
            "{whitelist} | {blacklist} | {address}"
        );
    }
}

#[test]
fn blocked_beats_allowed_and_nothing_allowed_is_all() {
    for (allowed, blocked, endpoint, passes) in [
        ("", "", "tools/call/x", true),
        ("tools/**", "", "tools/call/x", true),
        ("tools/**", "", "prompts/list", false),
        ("tools/**", "tools/call/x", "tools/call/x", false),
        ("tools/**", "tools/call/x", "tools/call/xy", true),
        ("tools/**", "", "initialize", true),
        ("tools/**", "initialize", "initialize", false),
        ("", "**", "ping", false),
        ("", "/admin/**", "/admin/x", false),
        ("", "/admin/**", "/public/%2e%2e/admin/x", false),
        ("", "/admin/**", "/administrator", true),
    ] {
        let policy = compiled(|policy| {
            policy.endpoint_restrictions.allowed_endpoints = field::parse_endpoints_line(allowed).unwrap();
            policy.endpoint_restrictions.blocked_endpoints = field::parse_endpoints_line(blocked).unwrap();
        });
        assert_eq!(
            policy.allows_endpoint(&endpoint.parse().unwrap()),
            passes,
            "{allowed} | {blocked} | {endpoint}"
        );
    }
}

#[test]
fn effective_scopes_are_what_credential_and_ceiling_share() {
    for (ceiling, held, effective) in [
        ("", "tools:call mcp:*", "tools:call, mcp:*"),
        ("mcp:read tools:list", "tools:call tools:list", "tools:list"),
        ("mcp:read", "tools:call", ""),
        ("mcp:read", "mcp:*", "mcp:read"),
        ("mcp:*", "tools:call", "tools:call"),
        ("mcp:read", "", ""),
    ] {
        let mut policy = named("p");
        policy.scopes = field::parse_scopes_line(ceiling).unwrap();
        let held = field::parse_scopes_line(held).unwrap();
        assert_eq!(field::write_line(&policy.effective_scopes(&held)), effective, "{ceiling} | {held:?}");
    }
}

fn in_hours(hours: &[u32], timezone: Tz) -> Arc<CompiledPolicy> {
    compiled(|policy| {
        policy.time_restrictions =
            TimeRestrictions { allowed_hours: hours.iter().copied().collect(), timezone };
    })
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn hours_are_those_of_the_wall_clock() {
    let berlin = in_hours(&[2], Tz::Europe__Berlin);
    for (time, allowed) in [
        ("2026-01-15T00:59:59.999Z", false),
        ("2026-01-15T01:00:00Z", true),
        ("2026-01-15T02:00:00Z", false),
        ("2026-07-15T00:00:00Z", true),
        // In the gap of spring the clock jumps from 01:59 to 03:00: there is no hour 2.
        ("2026-03-29T00:59:59.999Z", false),
        ("2026-03-29T01:00:00Z", false),
        // In the fold of autumn the hour 2 comes twice.
        ("2026-10-25T00:00:00Z", true),
        ("2026-10-25T01:59:59.999Z", true),
        ("2026-10-25T02:00:00Z", false),
    ] {
        assert_eq!(berlin.allows_time(at(time)), allowed, "{time}");
    }
    // Lord Howe turns its clocks by half an hour: 01:30 to 02:00 comes twice.
    let lord_howe = in_hours(&[1], Tz::Australia__Lord_Howe);
    for (time, allowed) in [
        ("2026-04-04T13:59:59Z", false),
        ("2026-04-04T14:00:00Z", true),
        ("2026-04-04T15:29:59Z", true),
        ("2026-04-04T15:30:00Z", false),
    ] {
        assert_eq!(lord_howe.allows_time(at(time)), allowed, "{time}");
    }
}

#[test]
fn no_hour_is_never_and_all_is_always() {
    assert!(!in_hours(&[], Tz::UTC).allows_time(at("2026-01-15T12:00:00Z")));
    let always = compiled(|policy| policy.time_restrictions.timezone = Tz::Asia__Kathmandu);
    assert!(always.allows_time(at("2026-01-15T12:00:00Z")));
    assert!(always.allows_time(Timestamp::from_millis(i64::MAX)));
}

/// The `nth` Sunday of a month (0 = the first), or the last.
fn sunday(year: i32, month: u32, nth: Option<u8>) -> NaiveDate {
    match nth {
        Some(nth) => NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, nth + 1).unwrap(),
        None => {
            let next = NaiveDate::from_ymd_opt(year, month, 28).unwrap() + TimeDelta::days(7);
            let last = (0..14).map(|back| next - TimeDelta::days(back));
            last.into_iter().find(|day| day.month() == month && day.weekday() == Weekday::Sun).unwrap()
        }
    }
}

/// Minutes ahead of UTC by the law in force since 2008, written out.
fn offset(zone: Tz, utc: chrono::NaiveDateTime) -> i64 {
    let year = utc.year();
    let moment =
        |day: NaiveDate, minutes: i64| day.and_hms_opt(0, 0, 0).unwrap() + TimeDelta::minutes(minutes);
    let (from, to, summer, winter) = match zone {
        Tz::Europe__Berlin => {
            (moment(sunday(year, 3, None), 60), moment(sunday(year, 10, None), 60), 120, 60)
        }
        Tz::America__New_York => {
            (moment(sunday(year, 3, Some(1)), 7 * 60), moment(sunday(year, 11, Some(0)), 6 * 60), -240, -300)
        }
        // The south: winter lies between the two turns, and both are on the Saturday in UTC.
        Tz::Australia__Lord_Howe => {
            (moment(sunday(year, 4, Some(0)), -9 * 60), moment(sunday(year, 10, Some(0)), -510), 630, 660)
        }
        Tz::Asia__Kathmandu => return 345,
        _ => return 0,
    };
    if utc >= from && utc < to { summer } else { winter }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hours_follow_the_written_law(
        zone in prop::sample::select(vec![
            Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Kathmandu, Tz::UTC,
        ]),
        // Any moment from 2009 to 2036, and often one near a turn of clocks.
        anywhere in 1_230_768_000_i64..2_114_380_800,
        turn in prop::option::of((2009_i32..2037, 0_usize..2, -180_i64..180)),
        allowed in 0_u32..24,
    ) {
        let utc = match turn {
            None => chrono::DateTime::from_timestamp(anywhere, 0).unwrap().naive_utc(),
            Some((year, which, minutes)) => {
                let turns = match zone {
                    Tz::America__New_York => [(sunday(year, 3, Some(1)), 420), (sunday(year, 11, Some(0)), 360)],
                    Tz::Australia__Lord_Howe => [(sunday(year, 4, Some(0)), -540), (sunday(year, 10, Some(0)), -510)],
                    _ => [(sunday(year, 3, None), 60), (sunday(year, 10, None), 60)],
                };
                let (day, minute) = turns[which];
                day.and_hms_opt(0, 0, 0).unwrap() + TimeDelta::minutes(minute + minutes)
            }
        };
        let wall = utc + TimeDelta::minutes(offset(zone, utc));
        let hour = chrono::Timelike::hour(&wall);
        let now = Timestamp::from(utc.and_utc());
        prop_assert_eq!(in_hours(&[allowed], zone).allows_time(now), hour == allowed, "{} in {}", utc, zone);
        prop_assert!(in_hours(&[hour], zone).allows_time(now));
    }
}

/// The bits of an address; a v4-mapped one counts as v4.
fn bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4)) << 96),
        IpAddr::V6(v6) => (false, u128::from(v6)),
    }
}

fn within(network: &(Ipv4Addr, u8), address: IpAddr) -> bool {
    let (is_v4, address) = bits(address);
    let base = bits(IpAddr::V4(network.0)).1;
    is_v4 && (0..u32::from(network.1)).all(|bit| (base << bit) >> 127 == (address << bit) >> 127)
}

/// Addresses that share beginnings, so that networks often hold them.
fn near() -> impl Strategy<Value = Ipv4Addr> {
    (prop::sample::select(vec![10_u8, 11]), 0_u8..4, prop::sample::select(vec![0_u8, 128]), 0_u8..4)
        .prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d))
}

proptest! {
    #[test]
    fn addresses_follow_the_plain_reading(
        whitelist in prop::collection::vec((near(), 0_u8..=32), 0..3),
        blacklist in prop::collection::vec((near(), 9_u8..=32), 0..3),
        address in near(),
        mapped_list in any::<bool>(),
        mapped_address in any::<bool>(),
    ) {
        let read = |networks: &[(Ipv4Addr, u8)]| -> Vec<IpNet> {
            let write = |(address, length): &(Ipv4Addr, u8)| {
                let base = IpNet::new(IpAddr::V4(*address), *length).unwrap().trunc().addr();
                match (mapped_list, base) {
                    (true, IpAddr::V4(v4)) => format!("{}/{}", v4.to_ipv6_mapped(), length + 96),
                    _ => format!("{base}/{length}"),
                }
            };
            networks.iter().map(|network| field::parse_network(&write(network)).unwrap()).collect()
        };
        let policy = compiled(|policy| {
            policy.ip_restrictions = IpRestrictions { whitelist: read(&whitelist), blacklist: read(&blacklist) };
        });
        let address = if mapped_address { IpAddr::V6(address.to_ipv6_mapped()) } else { IpAddr::V4(address) };
        let blocked = blacklist.iter().any(|network| within(network, address));
        let listed = whitelist.is_empty() || whitelist.iter().any(|network| within(network, address));
        prop_assert_eq!(policy.allows_address(Some(address)), listed && !blocked);
        let outsider = IpAddr::V6(Ipv6Addr::LOCALHOST);
        prop_assert_eq!(policy.allows_address(Some(outsider)), whitelist.is_empty());
    }
}
