use super::{Branch, Choice, Details, Filter, PAGE, Page, Slice};
use crate::{Error, Result, Viewer, text};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

struct Row {
    id: Uuid,
    name: String,
    short_code: Option<String>,
    is_main: bool,
    parent_id: Option<Uuid>,
    parent_name: Option<String>,
    phone_e164: Option<String>,
    email: Option<String>,
    website: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    city: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
    timezone: String,
    service_times: Option<String>,
    picture_id: Option<Uuid>,
    archived_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    members: i64,
}

impl From<Row> for Branch {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            picture_id: row.picture_id,
            parent_name: row.parent_name,
            archived_at: row.archived_at,
            updated_at: row.updated_at,
            members: row.members,
            details: Details {
                name: row.name,
                short_code: row.short_code,
                is_main: row.is_main,
                parent_id: row.parent_id,
                phone_e164: row.phone_e164,
                email: row.email,
                website: row.website,
                address1: row.address1,
                address2: row.address2,
                city: row.city,
                region: row.region,
                postal_code: row.postal_code,
                country: row.country,
                timezone: row.timezone,
                service_times: row.service_times,
            },
        }
    }
}

/// The branches that a search finds; `None` for all. A church has few of them, so that they need no column that is kept
/// folded.
async fn found(
    connection: &mut PgConnection,
    viewer: &Viewer,
    archived: bool,
    search: &str,
) -> Result<Option<Vec<Uuid>>> {
    let terms = text::terms(search);
    if terms.is_empty() {
        return Ok(None);
    }
    let rows = sqlx::query!(
        "select id, name, short_code, city
           from branches
          where (archived_at is not null) = $1 and ($2::uuid[] is null or id = any ($2))",
        archived,
        viewer.branches.as_deref(),
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().filter(|row| {
        let texts = [Some(row.name.as_str()), row.short_code.as_deref(), row.city.as_deref()];
        text::matches(&terms, texts.into_iter().flatten())
    });
    Ok(Some(found.map(|row| row.id).collect()))
}

pub async fn list(connection: &mut PgConnection, viewer: &Viewer, filter: &Filter) -> Result<Page> {
    let found = found(connection, viewer, filter.archived, &filter.search).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select b.id, b.name, b.short_code, b.is_main, b.parent_id, p.name as "parent_name?", b.phone_e164, b.email,
                  b.website, b.address1, b.address2, b.city, b.region, b.postal_code, b.country, b.timezone,
                  b.service_times, b.picture_id, b.archived_at, b.updated_at,
                  coalesce(c.members, 0) as "members!"
             from branches b
             left join branches p on p.id = b.parent_id
             left join (select branch_id, sum(change)::bigint as members
                          from member_counts where not is_archived group by branch_id) c on c.branch_id = b.id
            where (b.archived_at is not null) = $1
              and ($2::uuid[] is null or b.id = any ($2))
              and ($3::uuid[] is null or b.id = any ($3))
            order by b.is_main desc, b.sort_order, lower(b.name), b.id
            limit $4 offset $5"#,
        filter.archived,
        found.as_deref(),
        viewer.branches.as_deref(),
        PAGE,
        i64::from(filter.page) * PAGE,
    )
    .fetch_all(&mut *connection)
    .await?;
    let total = sqlx::query_scalar!(
        r#"select count(*) as "count!"
             from branches b
            where (b.archived_at is not null) = $1
              and ($2::uuid[] is null or b.id = any ($2))
              and ($3::uuid[] is null or b.id = any ($3))"#,
        filter.archived,
        found.as_deref(),
        viewer.branches.as_deref(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Page { items: rows.into_iter().map(Branch::from).collect(), total })
}

pub async fn slice(connection: &mut PgConnection, viewer: &Viewer, slice: &Slice) -> Result<Vec<Branch>> {
    let found = found(connection, viewer, false, &slice.search).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select b.id, b.name, b.short_code, b.is_main, b.parent_id, p.name as "parent_name?", b.phone_e164, b.email,
                  b.website, b.address1, b.address2, b.city, b.region, b.postal_code, b.country, b.timezone,
                  b.service_times, b.picture_id, b.archived_at, b.updated_at,
                  coalesce(c.members, 0) as "members!"
             from branches b
             left join branches p on p.id = b.parent_id
             left join (select branch_id, sum(change)::bigint as members
                          from member_counts where not is_archived group by branch_id) c on c.branch_id = b.id
            where b.archived_at is null
              and ($1::uuid is null or b.id > $1)
              and ($2::uuid[] is null or b.id = any ($2))
              and ($3::uuid[] is null or b.id = any ($3))
            order by b.id
            limit $4"#,
        slice.after,
        found.as_deref(),
        viewer.branches.as_deref(),
        slice.limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Branch::from).collect())
}

pub async fn choices(connection: &mut PgConnection, viewer: &Viewer) -> Result<Vec<Choice>> {
    Ok(sqlx::query_as!(
        Choice,
        "select id, name, is_main
           from branches
          where archived_at is null and ($1::uuid[] is null or id = any ($1))
          order by is_main desc, sort_order, lower(name)
          limit 500",
        viewer.branches.as_deref(),
    )
    .fetch_all(connection)
    .await?)
}

pub async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Branch> {
    let row = sqlx::query_as!(
        Row,
        r#"select b.id, b.name, b.short_code, b.is_main, b.parent_id, p.name as "parent_name?", b.phone_e164, b.email,
                  b.website, b.address1, b.address2, b.city, b.region, b.postal_code, b.country, b.timezone,
                  b.service_times, b.picture_id, b.archived_at, b.updated_at,
                  coalesce(c.members, 0) as "members!"
             from branches b
             left join branches p on p.id = b.parent_id
             left join (select branch_id, sum(change)::bigint as members
                          from member_counts where not is_archived group by branch_id) c on c.branch_id = b.id
            where b.id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Branch::from).ok_or(Error::NotFound)
}

/// The branch as it is, and nobody else changes it before this transaction ends.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Branch> {
    sqlx::query!("select id from branches where id = $1 for no key update", id)
        .fetch_one(&mut *connection)
        .await?;
    find(connection, id).await
}

/// Adds the branch, or writes over the one with this id if that is meant. True when something was written.
pub async fn save(
    connection: &mut PgConnection,
    id: Uuid,
    details: &Details,
    over: bool,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "insert into branches (id, name, short_code, is_main, parent_id, phone_e164, email, website,
                             address1, address2, city, region, postal_code, country, timezone,
                             service_times)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (id) do update
            set name = excluded.name, short_code = excluded.short_code, is_main = excluded.is_main,
                parent_id = excluded.parent_id, phone_e164 = excluded.phone_e164, email = excluded.email,
                website = excluded.website, address1 = excluded.address1, address2 = excluded.address2,
                city = excluded.city, region = excluded.region, postal_code = excluded.postal_code,
                country = excluded.country, timezone = excluded.timezone,
                service_times = excluded.service_times, updated_at = now()
          where $17",
        id,
        details.name,
        details.short_code,
        details.is_main,
        details.parent_id,
        details.phone_e164,
        details.email,
        details.website,
        details.address1,
        details.address2,
        details.city,
        details.region,
        details.postal_code,
        details.country,
        details.timezone,
        details.service_times,
        over,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The main branch stops being it, unless it is `except`.
pub async fn clear_main(connection: &mut PgConnection, except: Uuid) -> Result<()> {
    sqlx::query!(
        "update branches set is_main = false, updated_at = now() where is_main and id <> $1",
        except
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether `branch` stands somewhere below `ancestor`.
pub async fn is_below(connection: &mut PgConnection, branch: Uuid, ancestor: Uuid) -> Result<bool> {
    let below = sqlx::query_scalar!(
        r#"with recursive above (id) as (
               select parent_id from branches where id = $1
               union
               select b.parent_id from branches b join above on b.id = above.id
           )
           select exists (select from above where id = $2) as "below!""#,
        branch,
        ancestor,
    )
    .fetch_one(connection)
    .await?;
    Ok(below)
}

/// True when that changed something.
pub async fn set_archived(connection: &mut PgConnection, id: Uuid, archived: bool) -> Result<bool> {
    let done = sqlx::query!(
        "update branches
            set archived_at = case when $2 then now() end, updated_at = now()
          where id = $1 and (archived_at is null) = $2",
        id,
        archived,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
