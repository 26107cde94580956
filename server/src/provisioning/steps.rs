//! The steps of a run, each with its undo. All are check-then-act: whatever an earlier attempt has
//! done is found and left alone.

use super::{Template, failure::Failure, servers::Administered, servers::Servers, worker::keeping};
use crate::installation::Installation;
use identity::{Founder, Identity, Secret};
use registry::{
    Registry,
    runs::{self, Claimed, Step},
    tenants::{self, Placement},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenant::{office, schema};

pub type Result<T = ()> = std::result::Result<T, Failure>;

/// What the steps work with.
#[derive(Clone)]
pub struct Tools {
    pub registry: Registry,
    pub identity: Identity,
    pub secret: Secret,
    pub servers: Servers,
}

/// A run that failed and was not tried again for so long is undone.
const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

impl Tools {
    pub fn of(installation: &Installation) -> Self {
        Self {
            registry: installation.registry.clone(),
            identity: installation.identity.clone(),
            secret: installation.secret.clone(),
            servers: installation.servers.clone(),
        }
    }

    pub async fn take(&self, step: Step, run: &Claimed) -> Result {
        let started = Instant::now();
        let known = tenants::find(&self.registry, &run.tenant_id).await?;
        match step {
            Step::Place => self.place(run, &known).await,
            Step::Database => self.database(&known).await,
            Step::Schema => self.schema(&known).await,
            Step::Office => self.office(run, &known).await,
            Step::Open => Ok(runs::succeed(&self.registry, run, schema::version(), started.elapsed()).await?),
        }
    }

    /// Undoes the run that was given up longest ago; false when there is none.
    pub async fn undo_one_abandoned(&self) -> Result<bool> {
        match runs::claim_abandoned(&self.registry, ABANDONED_AFTER).await? {
            // Another worker that took it over undoes it as well.
            Some(run) => {
                keeping(&self.registry, &run, self.undo(&run)).await.unwrap_or(Ok(())).map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Undoes what the steps have done, last first; safe to repeat like they are.
    async fn undo(&self, run: &Claimed) -> Result {
        let known = tenants::find(&self.registry, &run.tenant_id).await?;
        // Opening, office and schema are undone with the database, and the place with the row.
        if known.placement.is_some() {
            self.undo_database(&known).await?;
        }
        Ok(runs::forget(&self.registry, run).await?)
    }

    async fn place(&self, run: &Claimed, known: &tenants::Tenant) -> Result {
        if known.placement.is_some() {
            return Ok(());
        }
        let placement = Placement {
            server: self.servers.with_room().server.clone(),
            database: role_of(known),
            schema: schema::SCHEMA.to_owned(),
        };
        Ok(runs::place(&self.registry, run, &placement).await?)
    }

    async fn database(&self, known: &tenants::Tenant) -> Result {
        let (server, placement) = self.placed(known)?;
        let (database, role) = (&placement.database, role_of(known));
        let mut connection = server.maintenance.acquire().await.map_err(Failure::of_server)?;
        if !exists(&mut connection, database).await? {
            Template::ensure(&server).await.map_err(|error| {
                Failure::passing("The template of new databases could not be made.", error)
            })?;
            let clone = format!("create database {database} template {} strategy wal_log", Template::name());
            let cloned = connection.execute(AssertSqlSafe(clone)).await;
            // A server that lost its worker in the middle may still have finished the work.
            if let Err(error) = cloned
                && !is_code(&error, "42P04")
            {
                return Err(Failure::of_server(error));
            }
        }
        let verifier = self.secret.tenant_roles().verifier(known.id.as_str(), known.role_version);
        let role_and_rights = format!(
            "do $$ begin
                 if not exists (select from pg_roles where rolname = '{role}') then
                     create role {role} login nosuperuser nocreatedb nocreaterole noreplication connection limit 50;
                 end if;
             end $$;
             alter role {role} password '{verifier}';
             alter role {role} in database {database} set search_path = {};
             alter role {role} set statement_timeout = '30s';
             alter role {role} set idle_in_transaction_session_timeout = '60s';
             revoke all on database {database} from public;
             grant connect on database {database} to {role};",
            placement.schema
        );
        connection.execute(AssertSqlSafe(role_and_rights)).await.map_err(Failure::of_server)?;
        Ok(())
    }

    /// `drop role` comes last: until then a repetition finds what is left to do.
    async fn undo_database(&self, known: &tenants::Tenant) -> Result {
        let (server, placement) = self.placed(known)?;
        for statement in [
            format!("drop database if exists {} with (force)", placement.database),
            format!("drop role if exists {}", role_of(known)),
        ] {
            server.maintenance.execute(AssertSqlSafe(statement)).await.map_err(Failure::of_server)?;
        }
        Ok(())
    }

    async fn schema(&self, known: &tenants::Tenant) -> Result {
        let (server, placement) = self.placed(known)?;
        let mut inside = server.connect(&placement.database).await.map_err(Failure::of_server)?;
        if schema::version_of(&mut inside, &placement.schema).await? != Some(schema::version()) {
            schema::migrate(&mut inside, &placement.schema).await?;
        }
        schema::grant(&mut inside, &placement.schema, &role_of(known)).await?;
        inside.close().await.map_err(Failure::of_server)
    }

    async fn office(&self, run: &Claimed, known: &tenants::Tenant) -> Result {
        let (_, placement) = self.placed(known)?;
        let founder = Founder::open(&self.secret, known.id.as_str(), &run.sealed).map_err(|error| {
            Failure::lasting("The signup was sealed with another secret key. Please sign up again.", error)
        })?;
        let tenant = self.identity.unfinished(&self.secret, &identity::place(known, placement)).await;
        let first = office::Founder {
            email: &founder.email,
            first_name: &founder.first_name,
            last_name: &founder.last_name,
            password_hash: &founder.password_hash,
        };
        Ok(office::furnish(&tenant, &first, &known.timezone, &known.country).await?)
    }

    fn placed<'a>(&self, known: &'a tenants::Tenant) -> Result<(Arc<Administered>, &'a Placement)> {
        let placement = known
            .placement
            .as_ref()
            .ok_or_else(|| Failure::passing("The church has no place yet.", "no placement"))?;
        let server = self.servers.find(&placement.server).ok_or_else(|| {
            Failure::lasting("The database server of this church is not known here.", "unknown server")
        })?;
        Ok((server, placement))
    }
}

/// The tenant's role; its own database has the same name.
fn role_of(known: &tenants::Tenant) -> String {
    // A tenant id is made of lower-case letters and digits only, so that it needs no quoting.
    format!("tenant_{}", known.id)
}

async fn exists(connection: &mut PgConnection, database: &str) -> Result<bool> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .map_err(Failure::of_server)
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|db| db.code()).is_some_and(|found| found == code)
}
