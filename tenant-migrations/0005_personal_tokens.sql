-- What admins give to programs of their own, to do in their name what they may do themselves. Deleting the row
-- revokes the token; the audit log remembers it.
create table personal_tokens (
    id uuid primary key,
    admin_id uuid not null references admins on delete cascade,
    name text not null check (char_length(name) between 1 and 80),
    scope text not null check (scope in ('read', 'write')),
    -- SHA-256 of the token's secret part; the token itself is with its owner only.
    digest bytea not null unique,
    created_at timestamptz not null default now(),
    -- To the minute, so that a program that asks often does not write often.
    last_used_at timestamptz,
    expires_at timestamptz
);

create index personal_tokens_admin on personal_tokens (admin_id, created_at);
