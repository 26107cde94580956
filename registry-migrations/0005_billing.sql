alter table tenants add column stripe_subscription_id text unique;

-- The oldest email of a church is its founder's: that is who is billed.
alter table admin_emails add column created_at timestamptz not null default now();

-- Churches that are open and whose customer, or subscription, is still to be made. Only a worker that has a
-- key to Stripe writes them, after the church has opened, and deletes them when it is done.
create table billing_jobs (
    tenant_id text primary key references tenants on delete cascade,
    -- Written down once: Stripe takes the repetition of a call only if it says the same.
    email text not null,
    attempts integer not null default 0,
    -- How many errors Stripe has answered. It keeps its answer for the idempotency key, so each needs a new key.
    errors integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    lease uuid,
    lease_until timestamptz,
    -- Stripe refuses what it is asked: waiting will not help, somebody has to look.
    failing boolean not null default false,
    last_error text,
    created_at timestamptz not null default now()
);

create index billing_jobs_due on billing_jobs (next_attempt_at);
create index tenants_without_customer on tenants (id) where status = 'active' and stripe_customer_id is null;
