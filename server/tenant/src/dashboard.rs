//! The figures on the first page.

use crate::{Result, Tenant, Viewer};

#[derive(Clone, Debug)]
pub struct Figures {
    pub members: i64,
    pub new_this_month: i64,
    pub branches: i64,
    pub visitors: i64,
    /// In the seven days that begin today, in the church's time zone.
    pub birthdays: i64,
}

/// Counts what the viewer may see. `timezone` is the church's (IANA).
pub async fn figures(tenant: &Tenant, viewer: &Viewer, timezone: &str) -> Result<Figures> {
    let mut connection = tenant.read(viewer).await?;
    Ok(sqlx::query_as!(
        Figures,
        r#"select (select coalesce(sum(c.change), 0)::bigint
                     from member_counts c
                    where not c.is_archived and ($1::uuid[] is null or c.branch_id = any ($1))) as "members!",
                  (select count(*)
                     from members m
                    where m.archived_at is null
                      and m.created_at >= date_trunc('month', now() at time zone $2) at time zone $2
                      and ($1::uuid[] is null or m.branch_id = any ($1))) as "new_this_month!",
                  (select coalesce(sum(c.change), 0)::bigint
                     from member_counts c
                    where not c.is_archived and ($1::uuid[] is null or c.branch_id = any ($1))
                      and c.status_id = any (array(select id from member_statuses where kind = 'visitor'))) as "visitors!",
                  (select count(*)
                     from (select (now() at time zone $2)::date + n as day from generate_series(0, 6) as n) week
                    cross join lateral (select branch_id
                                          from members
                                         where archived_at is null and birth_month = extract(month from day)::smallint
                                           and birth_day = extract(day from day)::smallint offset 0) m
                    where $1::uuid[] is null or m.branch_id = any ($1)) as "birthdays!",
                  (select count(*) from branches b
                    where b.archived_at is null and ($1::uuid[] is null or b.id = any ($1))) as "branches!""#,
        viewer.branches.as_deref(),
        timezone,
    )
    .fetch_one(&mut *connection)
    .await?)
}
