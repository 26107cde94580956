-- Since when the email is known to be the admin's own. Null: anybody may have typed it at signup. The password then
-- opens this church, and nothing else counts.
alter table admins add column email_verified_at timestamptz;

-- Counts how often the admin was disabled. Sessions and tokens remember it from when they were made, and end when it
-- changes: an admin who is enabled again starts without them.
alter table admins add column epoch integer not null default 0;

create function admin_left() returns trigger language plpgsql as $$
begin
    new.epoch := old.epoch + 1;
    return new;
end $$;

create trigger admin_left before update of state on admins
    for each row when (old.state = 'active' and new.state <> 'active') execute function admin_left();

-- One name is enough, the first or the last.
alter table admins drop constraint admins_first_name_check;
alter table admins drop constraint admins_last_name_check;
alter table admins add constraint admins_name_length
    check (char_length(first_name) <= 80 and char_length(last_name) <= 80);
alter table admins add constraint admins_name_there check (first_name <> '' or last_name <> '');
