-- How requests of programs were answered that carried an Idempotency-Key; kept for a day.
create table idempotency_keys (
    admin_id uuid not null references admins on delete cascade,
    key text not null check (char_length(key) between 1 and 255),
    -- Digest of method, address and body: another request under the same key is refused.
    request bytea not null,
    -- The id of what the request makes: chosen before it is made, so that whoever repeats it makes the same.
    record_id uuid not null,
    status smallint,
    body text,
    location text,
    etag text,
    created_at timestamptz not null default now(),
    primary key (admin_id, key)
);

create index idempotency_keys_age on idempotency_keys (created_at);
