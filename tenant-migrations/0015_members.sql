-- A person may have one name only, first or last.
alter table members
    alter column first_name drop not null,
    alter column last_name drop not null,
    add constraint members_named check (first_name is not null or last_name is not null);
