-- One durable provisioning of one tenant. Work is claimed with a lease: whoever holds
-- `lease` (a token made for that claim) may write, and only until `lease_until`.
create table provisioning_runs (
    id uuid primary key,
    tenant_id text not null references tenants on delete cascade,
    -- What a person reads out on the telephone: 7QK-2M4.
    reference text not null,
    status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    lease uuid,
    lease_until timestamptz,
    -- The first admin's name, email and password hash, encrypted with the installation's key.
    sealed bytea,
    -- A form sent twice makes one church.
    idempotency_key text unique,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint provisioning_runs_secret_wiped check (status <> 'succeeded' or sealed is null)
);

create index provisioning_runs_open on provisioning_runs (next_attempt_at) where status in ('queued', 'running');
create index provisioning_runs_failed on provisioning_runs (finished_at) where status = 'failed';
create index provisioning_runs_tenant on provisioning_runs (tenant_id);
create index provisioning_runs_reference on provisioning_runs (reference);

-- Append-only: what a browser watching the run is shown.
create table provisioning_events (
    run_id uuid not null references provisioning_runs on delete cascade,
    seq integer not null,
    at timestamptz not null default clock_timestamp(),
    step text not null,
    state text not null check (state in ('started', 'succeeded', 'failed')),
    duration_ms integer,
    -- Why a step failed, in words for the person who waits.
    reason text,
    primary key (run_id, seq)
);

create function provisioning_event() returns trigger language plpgsql as $$
begin
    perform pg_notify('provisioning_event', new.run_id::text);
    return null;
end $$;

create trigger provisioning_event after insert on provisioning_events
    for each row execute function provisioning_event();

create function provisioning_run() returns trigger language plpgsql as $$
begin
    perform pg_notify('provisioning_event', new.id::text);
    if new.status = 'queued' then
        perform pg_notify('provisioning_queued', '');
    end if;
    return null;
end $$;

create trigger provisioning_run after insert or update of status on provisioning_runs
    for each row execute function provisioning_run();
