use super::{
    Details, Filter, Listed, Member, Page, Slice,
    search::{self, Order, Selection, Status, visible_branches},
};
use crate::{Error, Result, Viewer, text};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

struct Row {
    id: Uuid,
    prefix: Option<String>,
    first_name: Option<String>,
    middle_name: Option<String>,
    last_name: Option<String>,
    suffix: Option<String>,
    preferred_name: Option<String>,
    branch_id: Uuid,
    status_id: Uuid,
    household_role: Option<String>,
    gender: String,
    marital_status: String,
    birth_year: Option<i16>,
    birth_month: Option<i16>,
    birth_day: Option<i16>,
    anniversary: Option<NaiveDate>,
    first_contact_on: Option<NaiveDate>,
    joined_on: Option<NaiveDate>,
    baptised_on: Option<NaiveDate>,
    email: Option<String>,
    mobile_e164: Option<String>,
    home_phone: Option<String>,
    notes: Option<String>,
    photo_id: Option<Uuid>,
    tags: Vec<String>,
    branch_name: String,
    status_name: String,
    status_kind: String,
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Member {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            photo_id: row.photo_id,
            branch_name: row.branch_name,
            status_name: row.status_name,
            status_kind: row.status_kind,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            details: Details {
                prefix: row.prefix,
                first_name: row.first_name,
                middle_name: row.middle_name,
                last_name: row.last_name,
                suffix: row.suffix,
                preferred_name: row.preferred_name,
                branch_id: row.branch_id,
                status_id: row.status_id,
                household_role: row.household_role,
                gender: row.gender,
                marital_status: row.marital_status,
                birth_year: row.birth_year,
                birth_month: row.birth_month,
                birth_day: row.birth_day,
                anniversary: row.anniversary,
                first_contact_on: row.first_contact_on,
                joined_on: row.joined_on,
                baptised_on: row.baptised_on,
                email: row.email,
                mobile_e164: row.mobile_e164,
                home_phone: row.home_phone,
                notes: row.notes,
                tags: row.tags,
            },
        }
    }
}

// Each tag is looked up by its key, which `offset 0` enforces: fewer rows than joining the tags of the church. Sorting
// them costs PostgreSQL a quarter of the query.

pub async fn list(connection: &mut PgConnection, viewer: &Viewer, filter: &Filter) -> Result<Page> {
    let selection = Selection {
        archived: filter.archived,
        terms: text::terms(&filter.search),
        branches: visible_branches(viewer, filter.branch),
        status: filter.status.map(Status::Id),
        tag: filter.tag.clone(),
        order: Order::Sorted { by: filter.sort, descending: filter.descending, page: filter.page },
    };
    let (ids, total) = search::find(connection, &selection).await?;
    let mut items = sqlx::query_as!(
        Listed,
        r#"select m.id, m.first_name, m.last_name, m.preferred_name, b.name as branch_name,
                  s.name as status_name, s.kind as status_kind, m.email, m.mobile_e164, m.photo_id,
                  array(select t.name
                          from member_tags mt, lateral (select name from tags where id = mt.tag_id offset 0) t
                         where mt.member_id = m.id) as "tags!"
             from unnest($1::uuid[]) with ordinality as i (id, nth)
            cross join lateral (select * from members where id = i.id offset 0) m
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            order by i.nth"#,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    items.iter_mut().for_each(|item| sort_tags(&mut item.tags));
    Ok(Page { items, total })
}

pub async fn slice(connection: &mut PgConnection, viewer: &Viewer, slice: &Slice) -> Result<Vec<Member>> {
    let after = slice.after.unwrap_or_default();
    let selection = Selection {
        archived: false,
        terms: text::terms(&slice.search),
        branches: visible_branches(viewer, slice.branch),
        status: slice.kind.clone().map(Status::Kind),
        tag: slice.tag.clone(),
        order: Order::Cursor { after, limit: slice.limit },
    };
    if selection.is_everybody() {
        return rows(connection, None, after, slice.limit).await;
    }
    let (ids, _) = search::find(connection, &selection).await?;
    rows(connection, Some(&ids), after, slice.limit).await
}

pub async fn find(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<Member> {
    let member = rows(connection, Some(&[id]), Uuid::nil(), 1).await?.pop().ok_or(Error::NotFound)?;
    viewer.may_see(member.details.branch_id)?;
    Ok(member)
}

/// Returns the members with these ids, or else those who are not archived behind `after`; by id.
async fn rows(
    connection: &mut PgConnection,
    ids: Option<&[Uuid]>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Member>> {
    let rows = sqlx::query_as!(
        Row,
        r#"with page as materialized (
               (select * from members where $1::uuid[] is null and archived_at is null and id > $2 order by id limit $3)
               union all
               select m.*
                 from unnest($1::uuid[]) as i (id)
                cross join lateral (select * from members where id = i.id offset 0) m
           )
           select m.id as "id!", m.prefix, m.first_name, m.middle_name, m.last_name, m.suffix, m.preferred_name,
                  m.branch_id as "branch_id!", m.status_id as "status_id!", m.household_role, m.gender as "gender!",
                  m.marital_status as "marital_status!", m.birth_year, m.birth_month, m.birth_day, m.anniversary,
                  m.first_contact_on, m.joined_on, m.baptised_on, m.email, m.mobile_e164, m.home_phone, m.notes,
                  m.photo_id, m.archived_at, m.created_at as "created_at!", m.updated_at as "updated_at!",
                  b.name as branch_name, s.name as status_name, s.kind as status_kind,
                  array(select t.name
                          from member_tags mt, lateral (select name from tags where id = mt.tag_id offset 0) t
                         where mt.member_id = m.id) as "tags!"
             from page m
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            order by m.id"#,
        ids,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut members: Vec<_> = rows.into_iter().map(Member::from).collect();
    members.iter_mut().for_each(|member| sort_tags(&mut member.details.tags));
    Ok(members)
}

fn sort_tags(tags: &mut [String]) {
    tags.sort_by_cached_key(|tag| tag.to_lowercase());
}

/// The member as it is, and nobody else changes it before this transaction ends.
pub async fn lock(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<Member> {
    sqlx::query!("select id from members where id = $1 for no key update", id)
        .fetch_one(&mut *connection)
        .await?;
    find(connection, viewer, id).await
}

/// Adds the member, or writes over the one with this id if that is meant. True when something was written.
pub async fn save(
    connection: &mut PgConnection,
    id: Uuid,
    details: &Details,
    over: bool,
) -> sqlx::Result<bool> {
    let keys = Keys::new(&details.into());
    let done = sqlx::query!(
        "insert into members (id, branch_id, status_id, household_role, prefix, first_name, middle_name,
                            last_name, suffix, preferred_name, gender, marital_status, birth_year,
                            birth_month, birth_day, anniversary, first_contact_on, joined_on, baptised_on,
                            email, mobile_e164, home_phone, notes, sort_name, search_text)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                 $21, $22, $23, $24, $25)
         on conflict (id) do update
            set branch_id = excluded.branch_id, status_id = excluded.status_id,
                household_role = excluded.household_role, prefix = excluded.prefix,
                first_name = excluded.first_name, middle_name = excluded.middle_name,
                last_name = excluded.last_name, suffix = excluded.suffix,
                preferred_name = excluded.preferred_name, gender = excluded.gender,
                marital_status = excluded.marital_status, birth_year = excluded.birth_year,
                birth_month = excluded.birth_month, birth_day = excluded.birth_day,
                anniversary = excluded.anniversary, first_contact_on = excluded.first_contact_on,
                joined_on = excluded.joined_on, baptised_on = excluded.baptised_on, email = excluded.email,
                mobile_e164 = excluded.mobile_e164, home_phone = excluded.home_phone,
                notes = excluded.notes, sort_name = excluded.sort_name, search_text = excluded.search_text,
                updated_at = now()
          where $26",
        id,
        details.branch_id,
        details.status_id,
        details.household_role,
        details.prefix,
        details.first_name,
        details.middle_name,
        details.last_name,
        details.suffix,
        details.preferred_name,
        details.gender,
        details.marital_status,
        details.birth_year,
        details.birth_month,
        details.birth_day,
        details.anniversary,
        details.first_contact_on,
        details.joined_on,
        details.baptised_on,
        details.email,
        details.mobile_e164,
        details.home_phone,
        details.notes,
        keys.sort_name,
        keys.search_text,
        over,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// True when that changed something.
pub async fn set_archived(connection: &mut PgConnection, id: Uuid, archived: bool) -> Result<bool> {
    let done = sqlx::query!(
        "update members
            set archived_at = case when $2 then now() end, updated_at = now()
          where id = $1 and (archived_at is null) = $2",
        id,
        archived,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a member is sorted and found by.
struct Keys {
    sort_name: String,
    search_text: String,
}

impl Keys {
    fn new(texts: &Texts<'_>) -> Self {
        let digits = |phone: &str| phone.chars().filter(char::is_ascii_digit).collect::<String>();
        let phones = [texts.mobile.map(digits), texts.home_phone.map(digits)];
        // The index of first letters needs the first name in front.
        let searched = [
            texts.first_name,
            texts.middle_name,
            texts.last_name,
            texts.prefix,
            texts.suffix,
            texts.preferred_name,
            texts.email,
            phones[0].as_deref(),
            phones[1].as_deref(),
        ];
        Self {
            sort_name: text::sort_key([texts.last_name, texts.first_name].into_iter().flatten()),
            search_text: text::search_key(searched.into_iter().flatten()),
        }
    }
}

/// The texts that [`Keys`] are made of.
struct Texts<'a> {
    prefix: Option<&'a str>,
    first_name: Option<&'a str>,
    middle_name: Option<&'a str>,
    last_name: Option<&'a str>,
    suffix: Option<&'a str>,
    preferred_name: Option<&'a str>,
    email: Option<&'a str>,
    mobile: Option<&'a str>,
    home_phone: Option<&'a str>,
}

impl<'a> From<&'a Details> for Texts<'a> {
    fn from(details: &'a Details) -> Self {
        Self {
            prefix: details.prefix.as_deref(),
            first_name: details.first_name.as_deref(),
            middle_name: details.middle_name.as_deref(),
            last_name: details.last_name.as_deref(),
            suffix: details.suffix.as_deref(),
            preferred_name: details.preferred_name.as_deref(),
            email: details.email.as_deref(),
            mobile: details.mobile_e164.as_deref(),
            home_phone: details.home_phone.as_deref(),
        }
    }
}

/// Folds the names of all members again if an older release did it. Run by the upgrade, in its transaction.
pub async fn refold(connection: &mut PgConnection) -> sqlx::Result<()> {
    const BATCH: i64 = 2_000;
    let version = sqlx::query_scalar!("select version from text_folding").fetch_one(&mut *connection).await?;
    if version == text::VERSION {
        return Ok(());
    }
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            "select id, prefix, first_name, middle_name, last_name, suffix, preferred_name, email, mobile_e164, home_phone
               from members where id > $1 order by id limit $2",
            after,
            BATCH,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        let keys = rows.iter().map(|row| {
            Keys::new(&Texts {
                prefix: row.prefix.as_deref(),
                first_name: row.first_name.as_deref(),
                middle_name: row.middle_name.as_deref(),
                last_name: row.last_name.as_deref(),
                suffix: row.suffix.as_deref(),
                preferred_name: row.preferred_name.as_deref(),
                email: row.email.as_deref(),
                mobile: row.mobile_e164.as_deref(),
                home_phone: row.home_phone.as_deref(),
            })
        });
        let (sort_names, search_texts): (Vec<_>, Vec<_>) =
            keys.map(|keys| (keys.sort_name, keys.search_text)).unzip();
        sqlx::query!(
            "update members m
                set sort_name = n.sort_name, search_text = n.search_text
               from unnest($1::uuid[], $2::text[], $3::text[]) as n (id, sort_name, search_text)
              where m.id = n.id and (m.sort_name <> n.sort_name or m.search_text <> n.search_text)",
            &rows.iter().map(|row| row.id).collect::<Vec<_>>(),
            &sort_names,
            &search_texts,
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query!("update text_folding set version = $1", text::VERSION).execute(connection).await?;
    Ok(())
}
