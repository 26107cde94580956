-- Rows to lock where several transactions of one church have to take turns. Advisory locks are of the whole server: a
-- role that may take them can fill its lock table, or hold up the church next door. A church's role cannot add or remove
-- these rows, nor give them another name.
create table locks (
    name text primary key check (name in ('tags'))
);

insert into locks values ('tags');
