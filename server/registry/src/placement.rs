//! Choice of the database server for a new tenant.

use crate::{
    DEDICATED_SCHEMA, Error, Registry, Result, runs::ClaimedRun, servers::Server, tenants::Placement,
};

/// Places the tenant on the emptiest open server with room, in the requested region or else preferably in the primary
/// server's. Returns `None` if there is no such server.
pub async fn place(
    registry: &Registry,
    run: &ClaimedRun,
    shared_database: &str,
) -> Result<Option<Placement>> {
    let mut tx = registry.pool.begin().await?;
    let server = sqlx::query!(
        "select s.id, s.name, s.region, s.host, s.port, s.administrator
           from database_servers s, tenants t
          where t.id = $1 and s.state = 'open' and s.unreachable_since is null
            and (t.region is null or t.region = s.region)
            and (select count(*) from tenants o where o.server_id = s.id)
              + (select count(*) from ready_databases r where r.server_id = s.id) < s.max_tenants
          order by s.region = (select p.region from database_servers p where p.name = 'primary') desc,
                   (select count(*) from tenants o where o.server_id = s.id), s.name <> 'primary', s.name
          limit 1
            for update of s",
        run.tenant_id.as_str(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(server) = server else { return Ok(None) };
    let tenant = sqlx::query!(
        r#"update tenants t
            set server_id = $3, updated_at = now(),
                database_name = case isolation when 'schema' then $4 else $5 end,
                schema_name = case isolation when 'schema' then $5 else $6 end
           from provisioning_runs r
          where r.id = $1 and r.lease = $2 and t.id = r.tenant_id
         returning t.database_name as "database_name!", t.schema_name as "schema_name!""#,
        run.run_id,
        run.lease,
        server.id,
        shared_database,
        run.tenant_id.pg_identifier(),
        DEDICATED_SCHEMA,
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::LeaseLost)?;
    tx.commit().await?;
    Ok(Some(Placement {
        server: Server {
            id: server.id,
            name: server.name,
            region: server.region,
            host: server.host,
            port: server.port as u16,
        },
        sealed_admin_url: server.administrator,
        database: tenant.database_name,
        schema: tenant.schema_name,
    }))
}
