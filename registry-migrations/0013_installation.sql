-- What tells one installation from another. One row, written by the first process that serves or works.
create table installation (
    only_row boolean primary key default true check (only_row),
    -- Written into every database that is made, so that a server shared by several installations can be sorted out.
    id uuid not null default gen_random_uuid(),
    -- Derived from the secret key, which it does not reveal. Another key would derive other passwords for every role.
    secret_digest bytea not null,
    created_at timestamptz not null default now()
);

-- Fencing token of whoever makes or removes a ready database, as runs have one: a process that was frozen beyond
-- its lease writes nothing more.
alter table ready_databases add column lease uuid;

-- PostgreSQL's own number of the cluster. A server that answers under another address with the same number is the
-- same server.
alter table database_servers add column system_identifier bigint;
