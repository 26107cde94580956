-- Churches that were removed and whose files still lie in the storage. Written by a trigger, so that whatever removes a
-- church, now or later, leaves no files behind; carried out by a process that serves, which is where the files are.
create table removed_tenants (
    tenant_id text primary key,
    due_at timestamptz not null default now(),
    -- After the first deletion: a second follows, for uploads that were running during the first.
    deleted boolean not null default false
);

create function note_removed_tenant() returns trigger language plpgsql as $$
begin
    insert into removed_tenants (tenant_id) values (old.id)
    on conflict (tenant_id) do update set due_at = now(), deleted = false;
    return null;
end $$;

create trigger tenants_removed after delete on tenants
    for each row execute function note_removed_tenant();
