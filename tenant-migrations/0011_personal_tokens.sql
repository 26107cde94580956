-- `admins.epoch` when the token was made.
alter table personal_tokens add column epoch integer not null default 0;
