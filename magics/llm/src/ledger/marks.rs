//! Marks of people on what is no call: hits of a search, triples of a graph.

use super::store::{Fault, Store, Value};
use super::{Ledger, LedgerError};

/// What somebody thinks of something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// When it was made, in milliseconds since 1970; set when it is written.
    pub at: i64,
    /// Who made it.
    pub user: String,
    /// What sort of thing it is on: `search` or `triple`.
    pub kind: String,
    /// What the thing belongs to: an index and a question, a graph.
    pub about: String,
    /// The thing.
    pub item: String,
    /// From 1 for bad to 5 for good; 0 takes an earlier mark back.
    pub mark: i64,
    /// A remark.
    pub comment: String,
}

impl Ledger {
    /// Writes `mark` in place of an earlier one of the same user on the same thing.
    pub fn set_mark(&mut self, mark: &Mark) -> Result<(), LedgerError> {
        let key = [&mark.kind, &mark.about, &mark.item, &mark.user]
            .map(|text| Value::from(text.as_str()));
        let now = chrono::Utc::now().timestamp_millis();
        self.attempt("set a mark", |store| {
            if mark.mark == 0 {
                return store.run(
                    "DELETE FROM mlk8s_marks WHERE kind = $1 AND about = $2 AND item = $3 AND user_id = $4",
                    &key,
                );
            }
            let mut values = key.to_vec();
            values.extend([Value::Int(now), Value::Int(mark.mark), Value::from(mark.comment.as_str())]);
            store.run(
                "INSERT INTO mlk8s_marks (kind, about, item, user_id, at, mark, comment) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, about, item, user_id) DO UPDATE SET \
                 at = excluded.at, mark = excluded.mark, comment = excluded.comment",
                &values,
            )
        })?;
        Ok(())
    }

    /// The marks on things of one sort, all or those that belong to `about`; the latest of each thing, oldest first.
    pub fn marks(&mut self, kind: &str, about: Option<&str>) -> Result<Vec<Mark>, LedgerError> {
        let all = self.attempt("read marks", |store| read(store, kind, about))?;
        let mut latest: Vec<Mark> = Vec::new();
        for mark in all {
            latest.retain(|old| (&old.about, &old.item) != (&mark.about, &mark.item));
            latest.push(mark);
        }
        Ok(latest)
    }
}

fn read(store: &mut dyn Store, kind: &str, about: Option<&str>) -> Result<Vec<Mark>, Fault> {
    let mut sql = "SELECT at, user_id, about, item, mark, comment FROM mlk8s_marks WHERE kind = $1"
        .to_owned();
    let mut values = vec![Value::from(kind)];
    if let Some(about) = about {
        sql.push_str(" AND about = $2");
        values.push(Value::from(about));
    }
    sql.push_str(" ORDER BY at, user_id, item");
    let rows = store.query(&sql, &values)?;
    let mark = |row: Vec<Value>| {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or(Value::Null);
        Mark {
            at: next().int(),
            user: next().text(),
            kind: kind.to_owned(),
            about: next().text(),
            item: next().text(),
            mark: next().int(),
            comment: next().text(),
        }
    };
    Ok(rows.into_iter().map(mark).collect())
}
