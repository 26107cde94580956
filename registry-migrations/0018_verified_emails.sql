-- Since when an email is known to be its admin's own, as `admins.email_verified_at` in the church's database, which
-- is what counts. Here it says in which order churches are tried, and how many an email may have that it has not
-- proved.
alter table admin_emails add column verified_at timestamptz;

-- Whoever has signed in with a token of the outside issuer has proved it.
update admin_emails set verified_at = now() where email in (select email from oidc_subjects);
