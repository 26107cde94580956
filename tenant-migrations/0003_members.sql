-- The list of statuses is the church's own to edit; `kind` is what the program understands by one.
create table member_statuses (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 60),
    kind text not null check (kind in ('visitor', 'attender', 'member', 'staff', 'inactive')),
    sort_order integer not null
);

create unique index member_statuses_name_key on member_statuses (lower(name));

create table members (
    id uuid primary key,
    branch_id uuid not null references branches,
    status_id uuid not null references member_statuses,
    household_role text check (household_role in ('head', 'spouse', 'child', 'other')),
    prefix text check (char_length(prefix) <= 20),
    first_name text not null check (char_length(first_name) between 1 and 80),
    middle_name text check (char_length(middle_name) <= 80),
    last_name text not null check (char_length(last_name) between 1 and 80),
    suffix text check (char_length(suffix) <= 20),
    preferred_name text check (char_length(preferred_name) <= 80),
    gender text not null default 'unspecified' check (gender in ('unspecified', 'female', 'male')),
    marital_status text not null default 'unknown'
        check (marital_status in ('unknown', 'single', 'married', 'divorced', 'widowed')),
    -- The parts of a birthday may be unknown one by one: many know the day and keep the year.
    birth_year smallint check (birth_year between 1850 and 2200),
    birth_month smallint check (birth_month between 1 and 12),
    birth_day smallint check (birth_day between 1 and 31),
    anniversary date,
    first_contact_on date,
    joined_on date,
    baptised_on date,
    email text check (char_length(email) <= 254),
    mobile_e164 text check (mobile_e164 ~ '^\+[1-9][0-9]{6,14}$'),
    home_phone text check (char_length(home_phone) <= 40),
    notes text check (char_length(notes) <= 10000),
    -- "last first", folded to lower case without marks: what names are sorted by.
    sort_name text collate "C" not null,
    -- All names, email and digits of the phones, folded the same way: what the search box looks in.
    search_text text not null,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint members_birth_day_needs_month check (birth_day is null or birth_month is not null)
);

create index members_by_name on members (sort_name, id) where archived_at is null;
create index members_by_branch on members (branch_id, sort_name, id) where archived_at is null;
create index members_by_joined on members (created_at, id) where archived_at is null;
