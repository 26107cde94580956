use super::{Filter, Listed, Member, PAGE, Page, Similar, Slice};
use crate::{Error, Result, Viewer, text};
use chrono::{DateTime, NaiveDate, Utc};
use domain::members::MemberInput;
use sqlx::PgConnection;
use uuid::Uuid;

domain::member_columns! {
    struct Row {
        id: Uuid,
        photo_id: Option<Uuid>,
        branch_name: String,
        status_name: String,
        status_kind: String,
        archived_at: Option<DateTime<Utc>>,
        created_at: DateTime<Utc>,
        updated_at: DateTime<Utc>,
    }
}

impl From<Row> for Member {
    fn from(mut row: Row) -> Self {
        Self {
            fields: row.take_input(),
            id: row.id,
            photo_id: row.photo_id,
            branch_name: row.branch_name,
            status_name: row.status_name,
            status_kind: row.status_kind,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

// In all of these each tag is looked up by its key (`offset 0` sees to that): for the few of a page it is much less than
// to join the tags of the church.

pub async fn list(connection: &mut PgConnection, viewer: &Viewer, filter: &Filter) -> Result<Page> {
    let patterns = text::patterns(&filter.search);
    let items = sqlx::query_as!(
        Listed,
        r#"select m.id, m.first_name, m.last_name, m.preferred_name, b.name as branch_name,
                  s.name as status_name, s.kind as status_kind, m.email, m.mobile_e164 as mobile, m.photo_id,
                  array(select t.name
                          from member_tags mt, lateral (select name from tags where id = mt.tag_id offset 0) t
                         where mt.member_id = m.id order by lower(t.name)) as "tags!"
             from members m
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            where (m.archived_at is not null) = $1
              and m.search_text like all ($2)
              and ($3::uuid is null or m.branch_id = $3)
              and ($4::uuid is null or m.status_id = $4)
              and ($5::uuid[] is null or m.branch_id = any ($5))
              and ($10::text is null or exists (select from member_tags mt join tags t on t.id = mt.tag_id
                                                where mt.member_id = m.id and lower(t.name) = lower($10)))
            order by case when $6 = 'branch' and not $7 then lower(b.name) end,
                     case when $6 = 'branch' and $7 then lower(b.name) end desc,
                     case when $6 = 'status' and not $7 then s.sort_order end,
                     case when $6 = 'status' and $7 then s.sort_order end desc,
                     case when $6 = 'added' and not $7 then m.created_at end,
                     case when $6 = 'added' and $7 then m.created_at end desc,
                     case when $6 = 'name' and $7 then m.sort_name end desc,
                     m.sort_name, m.id
            limit $8 offset $9"#,
        filter.archived,
        &patterns,
        filter.branch,
        filter.status,
        viewer.branches.as_deref(),
        filter.sort.name(),
        filter.descending,
        PAGE,
        i64::from(filter.page) * PAGE,
        filter.tag,
    )
    .fetch_all(&mut *connection)
    .await?;
    let total = sqlx::query_scalar!(
        r#"select count(*) as "count!"
             from members m
            where (m.archived_at is not null) = $1
              and m.search_text like all ($2)
              and ($3::uuid is null or m.branch_id = $3)
              and ($4::uuid is null or m.status_id = $4)
              and ($5::uuid[] is null or m.branch_id = any ($5))
              and ($6::text is null or exists (select from member_tags mt join tags t on t.id = mt.tag_id
                                                where mt.member_id = m.id and lower(t.name) = lower($6)))"#,
        filter.archived,
        &patterns,
        filter.branch,
        filter.status,
        viewer.branches.as_deref(),
        filter.tag,
    )
    .fetch_one(connection)
    .await?;
    Ok(Page { items, total })
}

pub async fn slice(connection: &mut PgConnection, viewer: &Viewer, slice: &Slice) -> Result<Vec<Member>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select m.id, m.prefix, m.first_name, m.middle_name, m.last_name, m.suffix, m.preferred_name, m.branch_id, m.status_id,
                  m.household_role, m.gender, m.marital_status, m.birth_year, m.birth_month, m.birth_day,
                  m.anniversary, m.first_contact_on, m.joined_on, m.baptised_on, m.email, m.mobile_e164 as mobile,
                  m.home_phone, m.notes, m.photo_id, m.archived_at, m.created_at, m.updated_at, b.name as branch_name,
                  s.name as status_name, s.kind as status_kind,
                  array(select t.name
                          from member_tags mt, lateral (select name from tags where id = mt.tag_id offset 0) t
                         where mt.member_id = m.id order by lower(t.name)) as "tags!"
             from members m
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            where m.archived_at is null
              and ($1::uuid is null or m.id > $1)
              and ($2::text[] = '{}' or m.search_text like all ($2))
              and ($3::uuid is null or m.branch_id = $3)
              and ($4::text is null or s.kind = $4)
              and ($5::uuid[] is null or m.branch_id = any ($5))
              and ($7::text is null or exists (select from member_tags mt join tags t on t.id = mt.tag_id
                                                where mt.member_id = m.id and lower(t.name) = lower($7)))
            order by m.id
            limit $6"#,
        slice.after,
        &text::patterns(&slice.search),
        slice.branch,
        slice.kind,
        viewer.branches.as_deref(),
        slice.limit,
        slice.tag,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

pub async fn find(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<Member> {
    let row = sqlx::query_as!(
        Row,
        r#"select m.id, m.prefix, m.first_name, m.middle_name, m.last_name, m.suffix, m.preferred_name, m.branch_id, m.status_id,
                  m.household_role, m.gender, m.marital_status, m.birth_year, m.birth_month, m.birth_day,
                  m.anniversary, m.first_contact_on, m.joined_on, m.baptised_on, m.email, m.mobile_e164 as mobile,
                  m.home_phone, m.notes, m.photo_id, m.archived_at, m.created_at, m.updated_at, b.name as branch_name,
                  s.name as status_name, s.kind as status_kind,
                  array(select t.name
                          from member_tags mt, lateral (select name from tags where id = mt.tag_id offset 0) t
                         where mt.member_id = m.id order by lower(t.name)) as "tags!"
             from members m
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            where m.id = $1 and ($2::uuid[] is null or m.branch_id = any ($2))"#,
        id,
        viewer.branches.as_deref(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Member::from).ok_or(Error::NotFound)
}

/// The member as it is, and nobody else changes it before this transaction ends.
pub async fn lock(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<Member> {
    sqlx::query!("select id from members where id = $1 for no key update", id)
        .fetch_one(&mut *connection)
        .await?;
    find(connection, viewer, id).await
}

/// Adds the member; false when there is one with this id.
pub async fn insert(connection: &mut PgConnection, id: Uuid, input: &MemberInput) -> sqlx::Result<bool> {
    let keys = Keys::new(&input.into());
    let done = sqlx::query!(
        "insert into members (id, branch_id, status_id, household_role, prefix, first_name, middle_name,
                            last_name, suffix, preferred_name, gender, marital_status, birth_year,
                            birth_month, birth_day, anniversary, first_contact_on, joined_on, baptised_on,
                            email, mobile_e164, home_phone, notes, sort_name, search_text)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                 $21, $22, $23, $24, $25)
         on conflict (id) do nothing",
        id,
        input.branch_id,
        input.status_id,
        input.household_role,
        input.prefix,
        input.first_name,
        input.middle_name,
        input.last_name,
        input.suffix,
        input.preferred_name,
        input.gender,
        input.marital_status,
        input.birth_year,
        input.birth_month,
        input.birth_day,
        input.anniversary,
        input.first_contact_on,
        input.joined_on,
        input.baptised_on,
        input.email,
        input.mobile,
        input.home_phone,
        input.notes,
        keys.sort_name,
        keys.search_text,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn update(connection: &mut PgConnection, id: Uuid, input: &MemberInput) -> sqlx::Result<()> {
    let keys = Keys::new(&input.into());
    sqlx::query!(
        "update members
            set branch_id = $2, status_id = $3, household_role = $4, prefix = $5, first_name = $6,
                middle_name = $7, last_name = $8, suffix = $9, preferred_name = $10, gender = $11,
                marital_status = $12, birth_year = $13, birth_month = $14, birth_day = $15, anniversary = $16,
                first_contact_on = $17, joined_on = $18, baptised_on = $19, email = $20, mobile_e164 = $21,
                home_phone = $22, notes = $23, sort_name = $24, search_text = $25, updated_at = now()
          where id = $1",
        id,
        input.branch_id,
        input.status_id,
        input.household_role,
        input.prefix,
        input.first_name,
        input.middle_name,
        input.last_name,
        input.suffix,
        input.preferred_name,
        input.gender,
        input.marital_status,
        input.birth_year,
        input.birth_month,
        input.birth_day,
        input.anniversary,
        input.first_contact_on,
        input.joined_on,
        input.baptised_on,
        input.email,
        input.mobile,
        input.home_phone,
        input.notes,
        keys.sort_name,
        keys.search_text,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Members with one of these sort names, or with the mobile or email. Archived ones are left out.
pub async fn similar(
    connection: &mut PgConnection,
    viewer: &Viewer,
    similar: &Similar,
    names: &[String],
) -> Result<Vec<Listed>> {
    Ok(sqlx::query_as!(
        Listed,
        r#"with hits as materialized (
               (select id from members where archived_at is null and sort_name = any ($1) limit 50)
               union
               (select id from members where archived_at is null and mobile_e164 = $2 limit 50)
               union
               (select id from members where archived_at is null and lower(email) = lower($3) limit 50)
           )
           select m.id, m.first_name, m.last_name, m.preferred_name, b.name as branch_name,
                  s.name as status_name, s.kind as status_kind, m.email, m.mobile_e164 as mobile, m.photo_id,
                  '{}'::text[] as "tags!"
             from hits h
             join members m on m.id = h.id
             join branches b on b.id = m.branch_id
             join member_statuses s on s.id = m.status_id
            where $4::uuid[] is null or m.branch_id = any ($4)
            order by m.sort_name, m.id"#,
        names,
        similar.mobile,
        similar.email,
        viewer.branches.as_deref(),
    )
    .fetch_all(connection)
    .await?)
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
        let searched = [
            texts.prefix,
            texts.first_name,
            texts.middle_name,
            texts.last_name,
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

impl<'a> From<&'a MemberInput> for Texts<'a> {
    fn from(input: &'a MemberInput) -> Self {
        Self {
            prefix: input.prefix.as_deref(),
            first_name: input.first_name.as_deref(),
            middle_name: input.middle_name.as_deref(),
            last_name: input.last_name.as_deref(),
            suffix: input.suffix.as_deref(),
            preferred_name: input.preferred_name.as_deref(),
            email: input.email.as_deref(),
            mobile: input.mobile.as_deref(),
            home_phone: input.home_phone.as_deref(),
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
