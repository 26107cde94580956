-- What members have in common, in the church's own words: choir, ushers, needs a lift.
create table tags (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 50),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create unique index tags_name_key on tags (lower(name));

create table member_tags (
    member_id uuid not null references members on delete cascade,
    tag_id uuid not null references tags on delete cascade,
    added_by uuid not null references admins,
    added_at timestamptz not null default now(),
    primary key (member_id, tag_id)
);

create index member_tags_by_tag on member_tags (tag_id, member_id);
