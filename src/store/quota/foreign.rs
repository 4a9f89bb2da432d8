//! The accounts of foreign subjects. Nobody says when they are gone, and their issuer names as many as it likes: an account
//! goes when it is whole again, and of one issuer there are never more than so many.

use std::time::Duration;

use super::super::{Rows, StoreError, setting};
use super::{Cell, FOREIGN, TABLE, close, decode, is_open, open};
use crate::domain::{clock::Timestamp, policy::Algorithm, quota::counts_until};

/// So many subjects of one issuer have an account at a time. A row has some 300 bytes.
const MOST: u64 = 250_000;
/// How long an account is whole before it goes, so that no clock which is set ahead and back forgets what was charged.
const MARGIN: Duration = Duration::from_secs(86_400);
/// How many of them are looked at when another is opened.
const LOOKED_AT: u32 = 8;
/// What the settings begin with that say how many accounts an issuer has.
const COUNT: &str = "quota/";

/// Makes the row of an account as [`open`] does, unless it is there. `false` where its issuer has as many as it may. Some
/// that are whole go in its place.
pub fn open_foreign(c: &Rows<'_>, account: &str, now: Timestamp) -> Result<bool, StoreError> {
    if is_open(c, account)? {
        return Ok(true);
    }
    sweep(c, account, now, LOOKED_AT)?;
    let there = count(c, account)?;
    if there >= MOST {
        return Ok(false);
    }
    open(c, account)?;
    set_count(c, account, there + 1)?;
    Ok(true)
}

/// Whether an account is there, or may be opened.
pub fn has_room(c: &Rows<'_>, account: &str) -> Result<bool, StoreError> {
    Ok(is_open(c, account)? || count(c, account)? < MOST)
}

/// Looks at `most` accounts of foreign subjects that follow `after`, and removes those that have long been whole. Answers
/// the last one that it looked at; `None` at the end.
pub fn sweep(c: &Rows<'_>, after: &str, now: Timestamp, most: u32) -> Result<Option<String>, StoreError> {
    let after = if after < FOREIGN { FOREIGN } else { after };
    let sql = TABLE.select("WHERE account > ?1 AND account < 'issuer;' ORDER BY account LIMIT ?2");
    let (mut whole, mut last, mut looked_at) = (Vec::new(), None, 0);
    c.each(&sql, (after, most), |row| {
        let account: String = row.get(0)?;
        // One that is damaged stays, and is refused.
        let cells = TABLE.check(c, row, 0).ok().and_then(|()| decode(row.value(1)));
        if cells.is_some_and(|cells| cells.iter().all(|cell| is_over(cell, now))) {
            whole.push(account.clone());
        }
        (last, looked_at) = (Some(account), looked_at + 1);
        Ok(())
    })?;
    for account in &whole {
        let there = count(c, account)?;
        close(c, account)?;
        set_count(c, account, there.saturating_sub(1))?;
    }
    Ok(last.filter(|_| looked_at == most))
}

/// Whether what was charged in a cell counts no more, under either algorithm.
fn is_over(cell: &Cell, now: Timestamp) -> bool {
    counts_until(Algorithm::Sliding, cell.window, cell.starts).plus(MARGIN) <= now
}

/// How many accounts the issuer of this one has. Where that was never written down they are counted.
fn count(c: &Rows<'_>, account: &str) -> Result<u64, StoreError> {
    let issuer = issuer_of(account);
    if let Some(count) = setting::get(c, &format!("{COUNT}{issuer}"))?.and_then(|text| text.parse().ok()) {
        return Ok(count);
    }
    let within = [format!("{issuer}:"), format!("{issuer};")];
    c.count("SELECT count(*) FROM quota WHERE account > ?1 AND account < ?2", within)
}

fn set_count(c: &Rows<'_>, account: &str, count: u64) -> Result<(), StoreError> {
    setting::set(c, &format!("{COUNT}{}", issuer_of(account)), &count.to_string())
}

/// `issuer:name`, of which no part but the last has a colon.
fn issuer_of(account: &str) -> &str {
    let name = account.strip_prefix(FOREIGN).and_then(|rest| rest.find(':'));
    name.map_or(account, |end| &account[..FOREIGN.len() + end])
}

#[cfg(test)]
mod tests {
    use super::super::lease;
    use super::super::tests::{Books, at, limits};
    use super::*;
    use crate::domain::policy::RateLimits;

    fn account(number: u32) -> String {
        format!("issuer:corp:default:subject-{number:03}")
    }

    /// A ledger with twenty accounts of an issuer, each charged once at the start.
    fn charged(limits: &RateLimits) -> Books {
        let books = Books::new();
        for number in 0..20 {
            assert!(open_foreign(&books.rows(), &account(number), at(0)).unwrap());
            lease(&books.rows(), &account(number), limits, 1, at(0)).unwrap();
        }
        books
    }

    fn there(c: &Rows<'_>) -> usize {
        (0..20).filter(|number| is_open(c, &account(*number)).unwrap()).count()
    }

    #[test]
    fn accounts_go_when_they_have_been_whole_for_a_day() {
        let day = 86_400;
        for (minute, per_day, whole_at) in [(Some(10), None, 66), (Some(10), Some(10), day + day / 10)] {
            let limits = limits(minute, None, per_day, Algorithm::Fixed);
            let books = charged(&limits);
            let c = books.rows();
            assert_eq!(sweep(&c, "", at(day + whole_at - 1), 100).unwrap(), None);
            assert_eq!(there(&c), 20, "a window may still count them");
            lease(&c, &account(3), &limits, 1, at(day + whole_at - 1)).unwrap();
            assert_eq!(sweep(&c, "", at(day + whole_at), 100).unwrap(), None);
            assert_eq!((there(&c), count(&c, &account(0)).unwrap()), (1, 1));
            assert!(is_open(&c, &account(3)).unwrap(), "the one that was charged meanwhile");
            assert!(is_open(&c, "a").unwrap() && is_open(&c, "b").unwrap(), "those of keys stay");
        }
    }

    #[test]
    fn a_sweep_goes_on_where_it_was() {
        let books = charged(&limits(Some(10), None, None, Algorithm::Fixed));
        let c = books.rows();
        let mut after = String::new();
        let mut left = Vec::new();
        while let Some(last) = sweep(&c, &after, at(3 * 86_400), 8).unwrap() {
            after = last;
            left.push(there(&c));
        }
        assert_eq!((left, there(&c)), (vec![12, 4], 0));
    }

    #[test]
    fn a_new_account_sends_others_away_that_are_whole() {
        let books = charged(&limits(Some(10), None, None, Algorithm::Fixed));
        let c = books.rows();
        assert!(open_foreign(&c, "issuer:corp:default:a", at(3 * 86_400)).unwrap());
        assert_eq!((there(&c), count(&c, &account(0)).unwrap()), (12, 13));
        assert!(open_foreign(&c, &account(1), at(3 * 86_400)).unwrap());
    }

    #[test]
    fn an_issuer_has_so_many_and_no_other_suffers() {
        let some = limits(Some(10), None, None, Algorithm::Fixed);
        let books = charged(&some);
        let c = books.rows();
        set_count(&c, &account(0), MOST).unwrap();
        let new = "issuer:corp:other:new";
        assert!(!open_foreign(&c, new, at(1)).unwrap() && !has_room(&c, new).unwrap());
        assert!(!is_open(&c, new).unwrap());
        assert!(open_foreign(&c, &account(7), at(1)).unwrap(), "one that is there");
        for other in ["issuer:corporation:default:new", "issuer:cor:default:new"] {
            assert!(open_foreign(&c, other, at(1)).unwrap(), "{other}");
        }
        sweep(&c, "", at(3 * 86_400), 100).unwrap();
        assert!(open_foreign(&c, new, at(3 * 86_400)).unwrap(), "when others went");
    }

    #[test]
    fn accounts_of_an_older_home_are_counted_once() {
        let books = charged(&limits(Some(10), None, None, Algorithm::Fixed));
        let c = books.rows();
        c.execute("DELETE FROM setting", []).unwrap();
        open(&c, "issuer:corporation:default:x").unwrap();
        assert_eq!(count(&c, &account(0)).unwrap(), 20);
        open_foreign(&c, "issuer:corp:default:a", at(1)).unwrap();
        assert_eq!(count(&c, &account(0)).unwrap(), 21);
    }
}
