-- What the church keeps outside of its database. Where each lies follows from the tenant's id and its own: no row can
-- name the file of another church.
create table files (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 200),
    content_type text not null check (char_length(content_type) between 1 and 100),
    -- In bytes; as promised, until stored_at says that it has been seen.
    size bigint not null check (size > 0),
    uploaded_by uuid not null references admins,
    created_at timestamptz not null default now(),
    -- Null until what was sent has been looked at, and fits.
    stored_at timestamptz
);

alter table members add column photo_id uuid references files;
alter table branches add column picture_id uuid references files;

create index members_photo on members (photo_id) where photo_id is not null;
create index branches_picture on branches (picture_id) where picture_id is not null;
