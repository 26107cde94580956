-- The places where the church meets. One is the main branch.
create table branches (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 120),
    short_code text check (char_length(short_code) between 1 and 12),
    is_main boolean not null default false,
    parent_id uuid references branches,
    phone_e164 text check (phone_e164 ~ '^\+[1-9][0-9]{6,14}$'),
    email text check (char_length(email) <= 254),
    website text check (char_length(website) <= 300),
    address1 text check (char_length(address1) <= 200),
    address2 text check (char_length(address2) <= 200),
    city text check (char_length(city) <= 120),
    region text check (char_length(region) <= 120),
    postal_code text check (char_length(postal_code) <= 20),
    country text check (country ~ '^[A-Z]{2}$'),
    timezone text not null,
    service_times text check (char_length(service_times) <= 1000),
    sort_order integer not null default 0,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint branches_parent_not_self check (parent_id <> id),
    constraint branches_main_open check (not (is_main and archived_at is not null))
);

create unique index branches_name_key on branches (lower(name));
create unique index branches_short_code_key on branches (lower(short_code));
create unique index branches_one_main on branches (is_main) where is_main;

create table admin_branches (
    admin_id uuid not null references admins on delete cascade,
    branch_id uuid not null references branches on delete cascade,
    primary key (admin_id, branch_id)
);
