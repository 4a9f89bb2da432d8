use rusqlite::{Connection, types::Value};

use super::*;
use crate::{
    domain::{act::Act, decision::Reason, event::Event, name::PolicyName, policy::Policy},
    ops::{
        api_key,
        bench::{Bench, DAY},
        policy,
    },
    store::{Rows, audit::verify::Fault, event, room},
};

/// A home with a small chain of every shape of record, and both files opened for tampering.
struct Chain {
    bench: Bench,
    portcullis: Connection,
    usage: Connection,
}

fn rows(connection: &Connection) -> Rows<'_> {
    connection.into()
}

impl Chain {
    fn new() -> Self {
        let bench = Bench::new();
        let one = bench.key();
        let two = bench.key();
        policy::create(&bench.ctx, Policy::new(PolicyName::default()), "there is one").unwrap_err();
        // Two records in one commit: the first of them carries no signature.
        api_key::revoke_all(&bench.ctx, &[one.id, two.id], "naïve \u{1f511}").unwrap();
        let events = vec![event(&bench, Reason::IpDenied), event(&bench, Reason::RateLimited)];
        bench.ctx.store.write_usage(move |c| event::append(c, event::Whose::Known, &events)).unwrap();
        let spans = bench.ctx.store.read_usage(|c| event::unrecorded(c, 0)).unwrap();
        let now = bench.now();
        let last = event::LastRecord::default();
        assert!(bench.ctx.store.write(move |c| event::record(c, &spans, last, "gateway", now)).unwrap());
        bench.clock.advance(std::time::Duration::from_millis(1));
        bench.key();
        let open = |file| Connection::open(bench.home.path().join(file)).unwrap();
        Self { portcullis: open("portcullis.db"), usage: open("usage.db"), bench }
    }

    /// What verification says, in small steps, so that faults also fall on their borders.
    fn verify(&self) -> Result<u64, Fault> {
        let key = setting::get(&rows(&self.portcullis), setting::AUDIT_PUBLIC_KEY).unwrap();
        let mut verifier = Verifier::new(key.as_deref().and_then(ChainKey::parse), self.bench.now());
        loop {
            match verifier.step(&rows(&self.portcullis), Some(&rows(&self.usage)), 2).unwrap() {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(None) => return Ok(verifier.records()),
                ControlFlow::Break(Some(fault)) => return Err(fault),
            }
        }
    }

    /// What verification says after `tamper`, which is undone afterwards.
    fn after(&self, tamper: impl FnOnce(&Connection, &Connection)) -> Result<u64, Fault> {
        self.portcullis.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.usage.execute_batch("BEGIN IMMEDIATE").unwrap();
        tamper(&self.portcullis, &self.usage);
        let found = self.verify();
        self.portcullis.execute_batch("ROLLBACK").unwrap();
        self.usage.execute_batch("ROLLBACK").unwrap();
        found
    }

    fn after_sql(&self, sql: &str) -> Result<u64, Fault> {
        self.after(|portcullis, _| portcullis.execute_batch(sql).unwrap())
    }

    fn length(&self) -> i64 {
        self.portcullis.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
    }
}

fn event(bench: &Bench, reason: Reason) -> Event {
    Event {
        seq: 0,
        at: bench.now(),
        kind: reason.to_string(),
        credential: "-".into(),
        issuer: String::new(),
        subject: "-".into(),
        endpoint: "tools/call/\u{202e}x".into(),
        address: "192.0.2.1".into(),
        count: 3,
        detail: "request".into(),
    }
}

#[test]
fn an_untouched_chain_is_valid_and_so_is_an_empty_one() {
    let chain = Chain::new();
    assert_eq!(chain.verify(), Ok(chain.length().unsigned_abs()));
    let verdict = verify(&chain.bench.ctx).unwrap();
    assert!(verdict.valid && verdict.key_from == KeyFrom::Vault);
    let head = head(&chain.bench.auditor()).unwrap();
    assert_eq!((head.seq, &head.hash), (chain.length(), &verdict.head));
    assert_eq!(head.signature.len(), 128);
    assert!(head.public_key.starts_with("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(chain.after_sql("DELETE FROM audit"), Ok(0));
}

#[test]
fn any_changed_byte_of_any_column_is_found_where_it_is() {
    let chain = Chain::new();
    for seq in 1..=chain.length() {
        for column in ["actor", "act", "object", "detail", "hash", "signature"] {
            let sql = format!("SELECT CAST({column} AS BLOB) FROM audit WHERE seq = ?1");
            let stored: Option<Vec<u8>> = chain.portcullis.query_row(&sql, [seq], |row| row.get(0)).unwrap();
            let text = !matches!(column, "hash" | "signature");
            let value = if text { "CAST(?2 AS TEXT)" } else { "?2" };
            let sql = format!("UPDATE audit SET {column} = {value} WHERE seq = ?1");
            let stored = stored.unwrap_or_default();
            for (place, bit) in
                (0..stored.len()).flat_map(|place| [(place, 0x01), (place, 0x20), (place, 0x80)])
            {
                let mut bytes = stored.clone();
                bytes[place] ^= bit;
                let found = chain.after(|c, _| _ = c.execute(&sql, (seq, bytes)).unwrap());
                assert_eq!(found.unwrap_err().seq, seq, "{column} of {seq}, byte {place}");
            }
        }
        for at in ["at + 1", "at - 1", "-at", "9223372036854775807"] {
            let found = chain.after_sql(&format!("UPDATE audit SET at = {at} WHERE seq = {seq}"));
            assert_eq!(found.unwrap_err().seq, seq);
        }
    }
}

#[test]
fn a_detail_with_other_white_space_or_a_second_field_is_found() {
    let chain = Chain::new();
    for with in ["'{ '", "'{\"zz\":1,'"] {
        let sql = format!("UPDATE audit SET detail = {with} || substr(detail, 2) WHERE seq = 2");
        assert_eq!(chain.after_sql(&sql).unwrap_err().seq, 2);
    }
}

#[test]
fn a_record_removed_inserted_doubled_or_moved_is_found() {
    let chain = Chain::new();
    let last = chain.length();
    for seq in 1..last {
        let gone = chain.after_sql(&format!("DELETE FROM audit WHERE seq = {seq}"));
        assert_eq!(gone.unwrap_err().seq, seq + 1);
        let closed = chain.after_sql(&format!(
            "DELETE FROM audit WHERE seq = {seq};
             UPDATE audit SET seq = -seq WHERE seq > {seq}; UPDATE audit SET seq = -seq - 1 WHERE seq < 0;"
        ));
        assert_eq!(closed.unwrap_err().seq, seq);
        let swapped = chain.after_sql(&format!(
            "UPDATE audit SET seq = 0 WHERE seq = {seq}; UPDATE audit SET seq = {seq} WHERE seq = {seq} + 1;
             UPDATE audit SET seq = {seq} + 1 WHERE seq = 0;"
        ));
        assert_eq!(swapped.unwrap_err().seq, seq);
    }
    let copy = "INSERT INTO audit SELECT {to}, at, actor, act, object, detail, hash, signature FROM audit WHERE seq = 2";
    for to in [-1, 0, last + 1, last + 2] {
        let found = chain.after_sql(&copy.replace("{to}", &to.to_string())).unwrap_err();
        assert_eq!(found.seq, to);
    }
}

#[test]
fn a_tail_cut_within_a_commit_is_found() {
    let chain = Chain::new();
    let unsigned: i64 = chain
        .portcullis
        .query_row("SELECT seq FROM audit WHERE signature IS NULL", [], |row| row.get(0))
        .unwrap();
    let found = chain.after_sql(&format!("DELETE FROM audit WHERE seq > {unsigned}")).unwrap_err();
    assert_eq!(found.seq, unsigned);
    let last = chain.length();
    let found = chain.after_sql(&format!("UPDATE audit SET signature = NULL WHERE seq = {last}"));
    assert_eq!(found.unwrap_err().seq, last);
}

#[test]
fn a_record_appended_without_the_vault_is_found() {
    let chain = Chain::new();
    let forged = chain.after(|c, _| {
        let at = chain.bench.now();
        audit::append(&rows(c), at, "cli:mallory", Act::KeyCreate, "x", serde_json::json!({})).unwrap();
    });
    assert_eq!(forged.unwrap_err().seq, chain.length() + 1);
}

#[test]
fn a_chain_signed_with_another_key_is_found() {
    let chain = Chain::new();
    let other = Bench::new();
    let key = head(&other.ctx).unwrap().public_key;
    let found = chain.after(|c, _| setting::set(&rows(c), setting::AUDIT_PUBLIC_KEY, &key).unwrap());
    assert_eq!(found.unwrap_err().seq, 1);
    let found = chain.after(|c, _| setting::set(&rows(c), setting::AUDIT_PUBLIC_KEY, "nonsense").unwrap());
    assert_eq!(found.unwrap_err().seq, 1);
    assert_eq!(chain.after_sql("DELETE FROM setting").unwrap_err().seq, 1);
}

#[test]
fn a_changed_event_is_found_by_its_flush() {
    let chain = Chain::new();
    let flush: i64 = chain
        .portcullis
        .query_row("SELECT seq FROM audit WHERE act = 'event.flush'", [], |row| row.get(0))
        .unwrap();
    let columns = [
        "at",
        "kind",
        "credential",
        "issuer",
        "subject",
        "endpoint",
        "address",
        "count",
        "detail",
        "seq",
        "batch",
    ];
    for column in columns {
        let found = chain.after(|_, usage| {
            let sql = format!("SELECT {column} FROM event ORDER BY seq DESC LIMIT 1");
            let changed = match usage.query_row(&sql, [], |row| row.get(0)).unwrap() {
                Value::Integer(number) => Value::Integer(number + 1),
                Value::Text(text) => Value::Text(format!("{text}.")),
                other => panic!("{other:?}"),
            };
            let sql = format!("UPDATE event SET {column} = ?1 WHERE seq = (SELECT max(seq) FROM event)");
            usage.execute(&sql, [changed]).unwrap();
        });
        assert_eq!(found.unwrap_err().seq, flush, "{column}");
    }
    let sql = [
        "DELETE FROM event",
        "DELETE FROM event WHERE seq = 1",
        "UPDATE event SET kind = CAST(x'ff' AS TEXT)",
        "INSERT INTO event (at, kind, credential, issuer, subject, endpoint, address, count, detail, batch)
         SELECT at, kind, credential, issuer, subject, endpoint, address, count, detail, batch FROM event LIMIT 1",
    ];
    for sql in sql {
        let found = chain.after(|_, usage| usage.execute_batch(sql).unwrap());
        assert_eq!(found.unwrap_err().seq, flush, "{sql}");
    }
}

#[test]
fn events_that_were_swept_are_not_missed() {
    let chain = Chain::new();
    chain.bench.clock.advance(89 * DAY);
    let sweep = |chain: &Chain| {
        let now = chain.bench.now();
        chain.after(|_, usage| {
            while let Some(cut) = room::ended(&rows(usage), now).unwrap() {
                cut.slice(&rows(usage)).unwrap();
            }
        })
    };
    assert_eq!(sweep(&chain), Ok(chain.length().unsigned_abs()), "nothing is old enough to be swept");
    chain.after(|_, usage| usage.execute_batch("DELETE FROM event").unwrap()).unwrap_err();
    chain.bench.clock.advance(2 * DAY);
    assert_eq!(sweep(&chain), Ok(chain.length().unsigned_abs()));
    chain.after(|_, usage| usage.execute_batch("UPDATE event SET kind = 'x'").unwrap()).unwrap_err();
}

#[test]
fn a_list_takes_every_condition() {
    let chain = Chain::new();
    let ctx = &chain.bench.ctx;
    let all = |q: Query| list(ctx, &Query { limit: 100, ..q }).unwrap();
    assert_eq!(all(Query::default()).len(), chain.length() as usize);
    assert!(all(Query { act: Some("key.revoke".into()), ..Query::default() }).len() == 2);
    assert!(all(Query { actor: Some("gateway".into()), ..Query::default() }).len() == 1);
    assert!(all(Query { actor: Some("gate".into()), ..Query::default() }).is_empty());
    let object = all(Query { act: Some("key.revoke".into()), ..Query::default() })[0].record.object.clone();
    let of_one = all(Query { object: Some(object), ..Query::default() });
    assert_eq!(
        of_one.iter().map(|e| e.record.act.as_str()).collect::<Vec<_>>(),
        ["key.revoke", "key.create"]
    );
    let older = all(Query { before_seq: Some(3), ..Query::default() });
    assert_eq!(older.iter().map(|entry| entry.record.seq).collect::<Vec<_>>(), [2, 1]);
}
