-- The database servers that tenants live on. The registry itself may share one of them.
create table database_servers (
    id uuid primary key,
    name text not null unique,
    region text not null,
    -- A host name, or the folder of a unix socket when it begins with '/'.
    host text not null,
    port integer not null check (port between 1 and 65535),
    max_tenants integer not null default 5000 check (max_tenants >= 0),
    state text not null default 'open' check (state in ('open', 'draining')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (host, port)
);
