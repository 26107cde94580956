-- Browser sessions. Two columns beside the record let all sessions of an admin end at once.
create table sessions (
    id text primary key,
    tenant_id text references tenants on delete cascade,
    admin_id uuid,
    data jsonb not null,
    expires_at timestamptz not null
);

create index sessions_admin on sessions (tenant_id, admin_id);
create index sessions_expiry on sessions (expires_at);

create function session_gone() returns trigger language plpgsql as $$
begin
    perform pg_notify('session_gone', old.id);
    return null;
end $$;

create trigger session_gone after delete on sessions
    for each row execute function session_gone();
