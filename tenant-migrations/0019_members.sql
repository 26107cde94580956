-- "Is this the same person?": members are looked up by their contact.
create index members_by_mobile on members (mobile_e164) where archived_at is null and mobile_e164 is not null;
create index members_by_email on members (lower(email)) where archived_at is null and email is not null;
