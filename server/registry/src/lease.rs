//! Writes that require a lease.

use crate::{Error, Result};
use sqlx::{IntoArguments, PgPool, Postgres, postgres::PgQueryResult, query::Query};

/// Wraps a query whose `where` clause names the lease: no affected row means that the lease is lost.
pub(crate) fn require_lease<T>(query: T) -> LeasedQuery<T> {
    LeasedQuery(query)
}

pub(crate) struct LeasedQuery<T>(T);

impl<A> LeasedQuery<Query<'_, Postgres, A>>
where
    A: Send + IntoArguments<Postgres>,
{
    pub(crate) async fn execute(self, pool: &PgPool) -> Result<()> {
        check_lease(&self.0.execute(pool).await?)
    }
}

/// Returns [`Error::LeaseLost`] unless a row was affected.
pub(crate) fn check_lease(done: &PgQueryResult) -> Result<()> {
    (done.rows_affected() > 0).then_some(()).ok_or(Error::LeaseLost)
}
