//! A row of an issued token.

use super::ground;
use crate::{
    domain::token::IssuedToken,
    store::{
        Rows, StoreError,
        table::{Columns, Noun, Table},
        value::{Value, to_json},
    },
};

const COLUMNS: &str = "jti, subject, client, scopes, audience, policy, bound, max_uses, kid, algorithm, issued_at, \
                       expires_at, issued_by";

pub(in crate::store) static TABLE: Table = Table::new("token", COLUMNS, 1);

impl Noun for IssuedToken {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.jti.to_string().into(),
            self.subject.to_string().into(),
            self.client.clone().into(),
            to_json(&self.scopes)?.into(),
            to_json(&self.audience)?.into(),
            self.policy.to_string().into(),
            self.bound.as_ref().map(to_json).transpose()?.into(),
            self.max_uses.into(),
            self.kid.to_string().into(),
            self.algorithm.to_string().into(),
            self.issued_at.millis().into(),
            self.expires_at.millis().into(),
            self.issued_by.clone().into(),
        ])
    }

    fn read(c: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        let jti = row.parse(0)?;
        Ok(Self {
            jti,
            rests_on: ground::of(c, jti)?,
            subject: row.parse(1)?,
            client: row.get(2)?,
            scopes: row.json(3)?,
            audience: row.json(4)?,
            policy: row.parse(5)?,
            bound: row.json_if_any(6)?,
            max_uses: row.get(7)?,
            kid: row.parse(8)?,
            algorithm: row.parse(9)?,
            issued_at: row.moment(10)?,
            expires_at: row.moment(11)?,
            issued_by: row.get(12)?,
        })
    }
}
