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
        r#"with today as (select (now() at time zone $2)::date as day),
                week as (select day + n as day from today, generate_series(0, 6) as n)
           select count(m.id) as "members!",
                  count(m.id) filter (where (m.created_at at time zone $2)::date >= date_trunc('month', today.day)) as "new_this_month!",
                  count(m.id) filter (where s.kind = 'visitor') as "visitors!",
                  count(m.id) filter (where exists (
                      select from week
                       where extract(month from week.day) = m.birth_month and extract(day from week.day) = m.birth_day
                  )) as "birthdays!",
                  (select count(*) from branches b
                    where b.archived_at is null and ($1::uuid[] is null or b.id = any ($1))) as "branches!"
             from today
             left join members m on m.archived_at is null and ($1::uuid[] is null or m.branch_id = any ($1))
             left join member_statuses s on s.id = m.status_id"#,
        viewer.branches.as_deref(),
        timezone,
    )
    .fetch_one(&mut *connection)
    .await?)
}
