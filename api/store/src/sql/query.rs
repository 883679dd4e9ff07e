//! One query for both databases: a text with question marks, its values, and rows that are read by position.

use super::connection::Executor;
use super::lent::Lent;
use crate::StoreError;
use mecapy_model::{
    ApiKeyId, BatchId, DeliveryId, EventId, RunId, ScheduleId, StudyId, TaskId, TenantId, UploadId, WebhookId,
    WorkflowId,
};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Decode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};
use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Longer than PostgreSQL lets any of our statements take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(22);

/// What a question mark stands for. Whole numbers and truths are 64-bit integers in both databases.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Number(Option<i64>),
    Real(Option<f64>),
    Text(Option<Arc<str>>),
    Bytes(Option<Vec<u8>>),
    Id(Option<Uuid>),
}

/// A statement, or several that are executed one after the other, with the values of all.
#[derive(Debug)]
pub(crate) struct Query {
    statements: Vec<SqlStr>,
    values: Vec<Value>,
    answer_within: Duration,
}

/// A row of either database.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A query whose values are bound in the order of its question marks (or as `?1`, `?2`, … say).
pub(crate) fn query(sql: impl SqlSafeStr) -> Query {
    queries(vec![sql.into_sql_str()])
}

/// Several statements, none of which sees what another one of them changes, and whose question marks have no numbers;
/// only [`Query::execute`] takes them.
pub(crate) fn queries(statements: Vec<SqlStr>) -> Query {
    Query { statements, values: Vec::new(), answer_within: ANSWER_TIMEOUT }
}

impl Query {
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Lets PostgreSQL take longer than it may for any other statement, on a session that allows it.
    pub(crate) fn within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }

    /// Executes; answers how many rows were changed.
    pub(crate) async fn execute(self, on: impl Into<Executor<'_>>) -> Result<u64, StoreError> {
        let Self { statements, values, answer_within: within } = self;
        Ok(match on.into() {
            Executor::Sqlite(conn) => {
                sqlx::query_with(in_turn(statements), sqlite(values)?).execute(conn).await?.rows_affected()
            }
            Executor::SqlitePool(pool) => {
                sqlx::query_with(in_turn(statements), sqlite(values)?).execute(pool).await?.rows_affected()
            }
            on if statements.len() > 1 => {
                let all = Query { values, ..query(as_one(&statements)).within(within) };
                return all.fetch_one(on).await?.count(0);
            }
            Executor::Postgres(conn) => {
                answered(within, sqlx::query_with(numbered(in_turn(statements)), postgres(values)?).execute(conn))
                    .await?
                    .rows_affected()
            }
            Executor::PostgresPool(pool) => {
                let mut conn = Lent::of(pool).await?;
                answered(within, sqlx::query_with(numbered(in_turn(statements)), postgres(values)?).execute(&mut *conn))
                    .await?
                    .rows_affected()
            }
        })
    }

    pub(crate) async fn fetch_all(self, on: impl Into<Executor<'_>>) -> Result<Vec<Row>, StoreError> {
        let within = self.answer_within;
        let (sql, values) = self.only();
        Ok(match on.into() {
            Executor::Sqlite(conn) => {
                let rows = sqlx::query_with(sql, sqlite(values)?).fetch_all(conn).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Executor::SqlitePool(pool) => {
                let rows = sqlx::query_with(sql, sqlite(values)?).fetch_all(pool).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Executor::Postgres(conn) => {
                let rows = answered(within, sqlx::query_with(numbered(sql), postgres(values)?).fetch_all(conn)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
            Executor::PostgresPool(pool) => {
                let mut conn = Lent::of(pool).await?;
                let rows =
                    answered(within, sqlx::query_with(numbered(sql), postgres(values)?).fetch_all(&mut *conn)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(crate) async fn fetch_optional(self, on: impl Into<Executor<'_>>) -> Result<Option<Row>, StoreError> {
        let within = self.answer_within;
        let (sql, values) = self.only();
        Ok(match on.into() {
            Executor::Sqlite(conn) => {
                sqlx::query_with(sql, sqlite(values)?).fetch_optional(conn).await?.map(Row::Sqlite)
            }
            Executor::SqlitePool(pool) => {
                sqlx::query_with(sql, sqlite(values)?).fetch_optional(pool).await?.map(Row::Sqlite)
            }
            Executor::Postgres(conn) => {
                answered(within, sqlx::query_with(numbered(sql), postgres(values)?).fetch_optional(conn))
                    .await?
                    .map(Row::Postgres)
            }
            Executor::PostgresPool(pool) => {
                let mut conn = Lent::of(pool).await?;
                answered(within, sqlx::query_with(numbered(sql), postgres(values)?).fetch_optional(&mut *conn))
                    .await?
                    .map(Row::Postgres)
            }
        })
    }

    pub(crate) async fn fetch_one(self, on: impl Into<Executor<'_>>) -> Result<Row, StoreError> {
        self.fetch_optional(on).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    fn only(self) -> (SqlStr, Vec<Value>) {
        (self.statements.into_iter().next().unwrap_or_else(|| "".into_sql_str()), self.values)
    }
}

impl Row {
    /// The column at a position, from 0.
    pub(crate) fn try_get<'r, T>(&'r self, at: usize) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(at)?,
            Row::Postgres(row) => row.try_get(at)?,
        })
    }

    /// A whole number that is not negative; what is reads 0.
    pub(crate) fn count(&self, at: usize) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.try_get::<i64>(at)?).unwrap_or(0))
    }

    /// A truth, which is kept as 0 or 1.
    pub(crate) fn flag(&self, at: usize) -> Result<bool, StoreError> {
        Ok(self.try_get::<i64>(at)? != 0)
    }

    pub(crate) fn id(&self, at: usize) -> Result<Uuid, StoreError> {
        self.try_get(at)
    }
}

/// One text for SQLite, which means one trip to the connection's thread.
fn in_turn(statements: Vec<SqlStr>) -> SqlStr {
    let all = statements.into_iter().reduce(|all, next| {
        // Both are texts of ours.
        AssertSqlSafe(format!("{};{}", all.as_str(), next.as_str())).into_sql_str()
    });
    all.unwrap_or_else(|| "".into_sql_str())
}

/// One statement for PostgreSQL, which means one trip to the server; its only column counts the rows that all changed.
fn as_one(statements: &[SqlStr]) -> SqlStr {
    let mut parts = String::new();
    let mut sum = String::new();
    for (number, statement) in statements.iter().enumerate() {
        let (with, plus) = if number == 0 { ("WITH ", "") } else { (", ", " + ") };
        parts.push_str(&format!("{with}part_{number} AS ({} RETURNING 1)", statement.as_str()));
        sum.push_str(&format!("{plus}(SELECT count(*) FROM part_{number})"));
    }
    // Made of texts of ours.
    AssertSqlSafe(format!("{parts} SELECT {sum}")).into_sql_str()
}

/// A server that doesn't answer is given up: a connection whose other end has vanished says nothing for many minutes.
pub(super) async fn answered<T>(
    within: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(within, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}

fn sqlite(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Number(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn postgres(values: Vec<Value>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Number(value) => Arguments::add(&mut arguments, value),
            Value::Real(value) => Arguments::add(&mut arguments, value),
            Value::Text(value) => Arguments::add(&mut arguments, value.as_deref().map(without_nul)),
            Value::Bytes(value) => Arguments::add(&mut arguments, value),
            Value::Id(value) => Arguments::add(&mut arguments, value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// PostgreSQL's texts can't hold U+0000, which only what a guest prints can contain: its picture stands for it.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{2400}")) } else { Cow::Borrowed(text) }
}

/// The text with `$1`, `$2`, … for its question marks. No text of ours holds one for another purpose.
fn numbered(sql: SqlStr) -> SqlStr {
    let text = sql.as_str();
    if !text.contains('?') {
        return sql;
    }
    let mut numbered = String::with_capacity(text.len() + text.len() / 4);
    let mut number = 0;
    let mut rest = text.split('?');
    numbered.push_str(rest.next().unwrap_or_default());
    for part in rest {
        numbered.push('$');
        if !part.starts_with(|next: char| next.is_ascii_digit()) {
            number += 1;
            numbered.push_str(&number.to_string());
        }
        numbered.push_str(part);
    }
    // Nothing but the marks was changed.
    AssertSqlSafe(numbered).into_sql_str()
}

macro_rules! value_from {
    ($kind:ident: $($type:ty => $convert:expr),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Value::$kind(Some($convert(value)))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Value::$kind(value.map($convert))
            }
        }
    )+};
}

value_from!(Number: i64 => i64::from, u32 => i64::from, u8 => i64::from, bool => i64::from);
value_from!(Real: f64 => f64::from);
value_from!(Text: &str => Arc::from, String => Arc::from, Arc<str> => Arc::from);
value_from!(Bytes: &[u8] => <[u8]>::to_vec, Vec<u8> => Vec::from);
value_from!(Id: Uuid => Uuid::from, TenantId => |id: TenantId| id.0, TaskId => |id: TaskId| id.0, UploadId => |id: UploadId| id.0, ApiKeyId => |id: ApiKeyId| id.0);
value_from!(Id: BatchId => |id: BatchId| id.0, WebhookId => |id: WebhookId| id.0, DeliveryId => |id: DeliveryId| id.0, EventId => |id: EventId| id.0);
value_from!(Id: RunId => |id: RunId| id.0, WorkflowId => |id: WorkflowId| id.0, StudyId => |id: StudyId| id.0, ScheduleId => |id: ScheduleId| id.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_numbered_as_sqlite_counts_them() {
        let rows = [
            ("SELECT 1", "SELECT 1"),
            ("a = ? AND b = ?", "a = $1 AND b = $2"),
            ("(?,?),(?,?)", "($1,$2),($3,$4)"),
            ("a = ?1 AND b = ?2 OR c = ?1", "a = $1 AND b = $2 OR c = $1"),
        ];
        for (sqlite, postgres) in rows {
            assert_eq!(numbered(sqlite.into_sql_str()).as_str(), postgres);
        }
    }

    #[test]
    fn several_statements_are_one_text() {
        let statements = || ["INSERT INTO a VALUES (?,?)", "UPDATE b SET c = ?"].map(|sql| sql.into_sql_str()).to_vec();
        assert_eq!(in_turn(statements()).as_str(), "INSERT INTO a VALUES (?,?);UPDATE b SET c = ?");
        let expected = "WITH part_0 AS (INSERT INTO a VALUES ($1,$2) RETURNING 1), \
                        part_1 AS (UPDATE b SET c = $3 RETURNING 1) \
                        SELECT (SELECT count(*) FROM part_0) + (SELECT count(*) FROM part_1)";
        assert_eq!(numbered(as_one(&statements())).as_str(), expected);
    }

    #[test]
    fn a_nul_is_shown_not_lost() {
        assert_eq!(without_nul("a\0b"), "a\u{2400}b");
        assert!(matches!(without_nul("ab"), Cow::Borrowed("ab")));
    }
}
