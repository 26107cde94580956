-- Which of its sign-in's tokens a refresh token is, from 0: the next one is derived from that and the installation's
-- secret, so that it can be given twice while only its digest is kept.
alter table refresh_tokens add column counter integer not null default 0;

-- `admins.epoch` in the church's database at the time of the sign-in: it ends when the admin is disabled.
alter table token_families add column epoch integer not null default 0;
