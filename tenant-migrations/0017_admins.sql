-- The role 'member' becomes 'viewer': a member is a person of the church. Older releases treat unknown roles as read-only.
alter table admins drop constraint admins_role_check;
update admins set role = 'viewer' where role = 'member';
alter table admins add constraint admins_role_check check (role in ('owner', 'admin', 'viewer'));
