use crate::{Editor, Result, Viewer};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// The audited record and action.
pub(crate) struct Entry {
    pub entity: &'static str,
    pub id: Uuid,
    pub action: &'static str,
}

/// Adds an audit entry, in the transaction of the change. Without an editor, the actor is the installation.
pub(crate) async fn record<T: Serialize>(
    connection: &mut PgConnection,
    editor: Option<&Editor>,
    entry: Entry,
    before: Option<&T>,
    after: Option<&T>,
) -> Result<()> {
    write(connection, editor.map(|editor| editor.0.admin_id), entry, before, after).await
}

/// Adds an audit entry for a change of the viewer's own data.
pub(crate) async fn record_own<T: Serialize>(
    connection: &mut PgConnection,
    viewer: &Viewer,
    entry: Entry,
    before: Option<&T>,
    after: Option<&T>,
) -> Result<()> {
    write(connection, Some(viewer.admin_id), entry, before, after).await
}

/// Adds audit entries for several new records of one kind.
pub(crate) async fn record_added<T: Serialize>(
    connection: &mut PgConnection,
    editor: &Editor,
    entity: &'static str,
    added: &[(Uuid, T)],
) -> Result<()> {
    let (ids, after): (Vec<_>, Vec<_>) =
        added.iter().map(|(id, record)| (*id, serde_json::to_value(record).unwrap_or_default())).unzip();
    sqlx::query!(
        "insert into audit_log (id, actor_id, action, entity, entity_id, after)
         select a.id, $2, 'added', $3, a.entity_id, a.after
           from unnest($1::uuid[], $4::uuid[], $5::jsonb[]) as a (id, entity_id, after)",
        &added.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>(),
        editor.0.admin_id,
        entity,
        &ids,
        &after,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write<T: Serialize>(
    connection: &mut PgConnection,
    actor_id: Option<Uuid>,
    entry: Entry,
    before: Option<&T>,
    after: Option<&T>,
) -> Result<()> {
    let json = |record: Option<&T>| record.and_then(|record| serde_json::to_value(record).ok());
    sqlx::query!(
        "insert into audit_log (id, actor_id, action, entity, entity_id, before, after)
         values ($1, $2, $3, $4, $5, $6, $7)",
        Uuid::now_v7(),
        actor_id,
        entry.action,
        entry.entity,
        entry.id,
        json(before),
        json(after),
    )
    .execute(connection)
    .await?;
    Ok(())
}
