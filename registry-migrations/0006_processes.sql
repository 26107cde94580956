-- The processes that share the connection budget of every database server. The parts of those that
-- live never add up to more than the budget; a process that was not heard of has none.
create table processes (
    id uuid primary key,
    -- How many connections to each server it has use for.
    wanted integer not null,
    -- How many it may have; never lowered before it has closed the others.
    part integer not null default 0,
    seen_at timestamptz not null default now()
);

create function processes_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('processes_changed', '');
    return null;
end $$;

create trigger processes_come_and_go after insert or delete on processes
    for each row execute function processes_changed();
create trigger processes_part after update on processes
    for each row when (old.part is distinct from new.part) execute function processes_changed();
