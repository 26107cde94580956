-- Programs that sign in. What signs access tokens is derived from the installation's secret and the key's id; no
-- key is stored. The newest signs; the one before it is believed for as long as its tokens live.
create table token_keys (
    id text primary key,
    created_at timestamptz not null default clock_timestamp()
);

-- One sign-in of a program, whose refresh tokens follow one another. Deleting it ends them all, and the access
-- tokens that came with them.
create table token_families (
    id uuid primary key,
    tenant_id text not null references tenants on delete cascade,
    admin_id uuid not null,
    -- How a sign-in that is repeated under the same Idempotency-Key is answered: a digest of the key and of what was
    -- asked, and the answer, encrypted with the installation's key.
    asked bytea unique,
    answer bytea,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create index token_families_admin on token_families (tenant_id, admin_id);
create index token_families_expiry on token_families (expires_at);

create table refresh_tokens (
    -- SHA-256 of the token; the token itself is with its owner only.
    digest bytea primary key,
    family_id uuid not null references token_families on delete cascade,
    created_at timestamptz not null default now(),
    -- A token is used once. Whoever shows it again has stolen it, or was stolen from: the family ends. Only the same
    -- request, repeated under its Idempotency-Key, is answered as it was.
    used_at timestamptz,
    asked bytea,
    answer bytea
);

create index refresh_tokens_family on refresh_tokens (family_id);

create function token_family_gone() returns trigger language plpgsql as $$
begin
    perform pg_notify('token_family_gone', old.id::text);
    return null;
end $$;

create trigger token_family_gone after delete on token_families
    for each row execute function token_family_gone();
