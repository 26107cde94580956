-- The people who sign in to this church's office.
create table admins (
    id uuid primary key,
    email text not null constraint admins_email_key unique
        check (email = lower(email) and char_length(email) <= 254),
    first_name text not null check (char_length(first_name) between 1 and 80),
    last_name text not null check (char_length(last_name) between 1 and 80),
    role text not null check (role in ('owner', 'admin', 'member')),
    state text not null default 'active' check (state in ('invited', 'active', 'disabled')),
    -- Argon2id, in PHC form.
    password_hash text,
    -- False: only the branches listed in admin_branches.
    all_branches boolean not null default true,
    last_login_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- What was done by whom. The tenant's role may add to it and read it, nothing else.
create table audit_log (
    id uuid primary key,
    at timestamptz not null default now(),
    -- Null when the installation did it, not a person.
    actor_id uuid references admins,
    action text not null,
    entity text not null,
    entity_id uuid not null,
    before jsonb,
    after jsonb
);

create index audit_log_entity on audit_log (entity, entity_id, at);
