-- How a server other than the registry's own is administered: its URL, encrypted with the installation's key.
alter table database_servers add administrator bytea;
-- Since when nobody has reached it; no church is placed there meanwhile.
alter table database_servers add unreachable_since timestamptz;

comment on column tenants.region is 'Where the church asked its data to be kept; null for wherever there is room.';
