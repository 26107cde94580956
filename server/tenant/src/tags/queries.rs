use super::Tag;
use crate::{Error, Result, Viewer};
use sqlx::PgConnection;
use uuid::Uuid;

pub async fn list(connection: &mut PgConnection, viewer: &Viewer, limit: i64) -> Result<Vec<Tag>> {
    Ok(sqlx::query_as!(
        Tag,
        r#"select t.id, t.name, t.updated_at, coalesce(c.members, 0) as "members!"
             from tags t
             left join (select mt.tag_id, count(*) as members
                          from member_tags mt
                          join members m on m.id = mt.member_id
                         where m.archived_at is null and ($1::uuid[] is null or m.branch_id = any ($1))
                         group by mt.tag_id) c on c.tag_id = t.id
            order by lower(t.name)
            limit $2"#,
        viewer.branches.as_deref(),
        limit,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn names(connection: &mut PgConnection, limit: i64) -> Result<Vec<String>> {
    let names = sqlx::query_scalar!("select name from tags order by lower(name) limit $1", limit);
    Ok(names.fetch_all(connection).await?)
}

pub async fn find(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<Tag> {
    let tag = sqlx::query_as!(
        Tag,
        r#"select t.id, t.name, t.updated_at,
                  (select count(*)
                     from member_tags mt
                     join members m on m.id = mt.member_id
                    where mt.tag_id = t.id and m.archived_at is null
                      and ($2::uuid[] is null or m.branch_id = any ($2))) as "members!"
             from tags t
            where t.id = $1"#,
        id,
        viewer.branches.as_deref(),
    )
    .fetch_optional(connection)
    .await?;
    tag.ok_or(Error::NotFound)
}

/// Locks the church's tags until the transaction ends: shared, so that several may give tags, unless one of the names
/// has to be made.
pub async fn hold(connection: &mut PgConnection, names: &[String]) -> Result<()> {
    let new = sqlx::query_scalar!(
        r#"select exists (select from unnest($1::text[]) as n (name)
                           where not exists (select from tags t where lower(t.name) = lower(n.name))) as "new!""#,
        names,
    )
    .fetch_one(&mut *connection)
    .await?;
    if new {
        return hold_all(connection).await;
    }
    sqlx::query!("select name from locks where name = 'tags' for share").fetch_one(connection).await?;
    Ok(())
}

/// Nobody gives, makes, renames or removes a tag before this transaction ends.
pub async fn hold_all(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("select name from locks where name = 'tags' for update").fetch_one(connection).await?;
    Ok(())
}

/// What is said of those who bear the tag is another thing now: whoever has read it before is told.
pub async fn touch_members(connection: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query!(
        "update members set updated_at = now()
          where id in (select member_id from member_tags where tag_id = $1)",
        id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn rename(connection: &mut PgConnection, id: Uuid, name: &str) -> sqlx::Result<()> {
    sqlx::query!("update tags set name = $2, updated_at = now() where id = $1", id, name)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn remove(connection: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query!("delete from tags where id = $1", id).execute(connection).await?;
    Ok(())
}

/// Those that were not there.
pub async fn make(connection: &mut PgConnection, names: &[String]) -> Result<Vec<(Uuid, String)>> {
    let ids: Vec<_> = names.iter().map(|_| Uuid::now_v7()).collect();
    let made = sqlx::query!(
        "insert into tags (id, name)
         select n.id, n.name
           from unnest($1::uuid[], $2::text[]) as n (id, name)
          where not exists (select from tags t where lower(t.name) = lower(n.name))
          order by lower(n.name)
         on conflict (lower(name)) do nothing
         returning id, name",
        &ids,
        names,
    )
    .fetch_all(connection)
    .await?;
    Ok(made.into_iter().map(|row| (row.id, row.name)).collect())
}

pub async fn count(connection: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from tags"#).fetch_one(connection).await?)
}

pub async fn give(connection: &mut PgConnection, member: Uuid, names: &[String], by: Uuid) -> Result<()> {
    sqlx::query!(
        "with given as (select t.id from tags t
                         where lower(t.name) in (select lower(n.name) from unnest($2::text[]) as n (name))),
              taken as (delete from member_tags
                         where member_id = $1 and tag_id not in (select id from given))
         insert into member_tags (member_id, tag_id, added_by)
         select $1, id, $3 from given
         on conflict (member_id, tag_id) do nothing",
        member,
        names,
        by,
    )
    .execute(connection)
    .await?;
    Ok(())
}
