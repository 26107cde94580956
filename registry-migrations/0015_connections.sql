-- A process whose connections to the registry have all closed is gone, and its part of the budget with it. Processes of
-- older releases do not mark their connections (application_name), and are known by seen_at only.
alter table processes add column marked boolean not null default false;

-- The URL by which a server is administered says how its tenants' connections are encrypted too.
drop trigger server_moved on database_servers;
create trigger server_moved after update on database_servers
    for each row when ((old.host, old.port, old.administrator) is distinct from (new.host, new.port, new.administrator))
    execute function server_moved();

-- Processes keep which email a subject of an outside issuer has proved.
create function oidc_subject_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('oidc_subject_changed', md5(old.subject));
    return null;
end $$;

create trigger oidc_subject_changed after update or delete on oidc_subjects
    for each row execute function oidc_subject_changed();
