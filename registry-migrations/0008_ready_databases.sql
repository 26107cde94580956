-- Databases that wait for a church: cloned, with role and rights, under the id the tenant will have.
-- A signup takes one over by deleting its row.
create table ready_databases (
    id text primary key check (id ~ '^[a-z][a-z0-9]{23}$'),
    server_id uuid not null references database_servers,
    -- The tables it was made with: version and content of the migrations.
    edition text not null,
    schema_version bigint not null,
    -- Null while it is being made or removed, by whoever holds the lease.
    ready_at timestamptz,
    lease_until timestamptz,
    created_at timestamptz not null default now()
);

create index ready_databases_ready on ready_databases (edition, server_id) where ready_at is not null;

create function ready_database_taken() returns trigger language plpgsql as $$
begin
    perform pg_notify('ready_database_taken', '');
    return null;
end $$;

create trigger ready_database_taken after delete on ready_databases
    for each row when (old.ready_at is not null) execute function ready_database_taken();
