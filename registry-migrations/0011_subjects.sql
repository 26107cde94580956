-- Who somebody is at an outside issuer of tokens, by the email that the issuer has verified: its access tokens name the
-- subject only. Emails of admins only; other people of the issuer are none of our business.
create table oidc_subjects (
    issuer text not null,
    subject text not null,
    email text not null,
    linked_at timestamptz not null default now(),
    primary key (issuer, subject)
);
