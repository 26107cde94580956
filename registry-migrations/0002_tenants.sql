-- Who exists and where. No church data: the people of a church are in its own database.
create table tenants (
    -- cuid2; also the name of the tenant's database and role, behind 'tenant_'.
    id text primary key check (id ~ '^[a-z][a-z0-9]{23}$'),
    name text not null constraint tenants_name_length check (char_length(name) between 1 and 120),
    isolation text not null default 'database' check (isolation in ('database', 'schema')),
    status text not null default 'provisioning'
        check (status in ('provisioning', 'active', 'suspended', 'archived', 'failed')),
    -- The placement: null until the first step of provisioning has chosen it.
    server_id uuid references database_servers,
    database_name text,
    schema_name text,
    schema_version bigint,
    -- Part of what the role's password is derived from: raising it rotates the password.
    role_version integer not null default 1,
    region text,
    country text not null check (country ~ '^[A-Z]{2}$'),
    timezone text not null,
    subscription_status text not null default 'trialing',
    trial_ends_at timestamptz not null,
    stripe_customer_id text unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (status in ('provisioning', 'failed', 'archived')
        or (server_id is not null and database_name is not null and schema_name is not null)),
    unique (server_id, database_name, schema_name)
);

create index tenants_status on tenants (status);

-- Which churches an email can sign in to: one email may belong to several.
create table admin_emails (
    email text not null check (email = lower(email)),
    tenant_id text not null references tenants on delete cascade,
    primary key (email, tenant_id)
);

create index admin_emails_tenant on admin_emails (tenant_id);

-- Every process keeps resolved tenants in memory; whoever changes one, even by psql, tells them all.
create function tenant_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('tenant_changed', old.id);
    return null;
end $$;

create trigger tenant_changed after update or delete on tenants
    for each row execute function tenant_changed();
