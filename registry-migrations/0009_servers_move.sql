-- A server that has moved takes its churches along: whatever is kept of where they are is stale.
create function server_moved() returns trigger language plpgsql as $$
begin
    perform pg_notify('server_moved', '');
    return null;
end $$;

create trigger server_moved after update on database_servers
    for each row when ((old.host, old.port) is distinct from (new.host, new.port)) execute function server_moved();
