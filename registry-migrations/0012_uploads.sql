-- Files that somebody has to look after: promised and perhaps never sent, or of no use any more. Written before anything
-- is put into the storage, so that nothing lies there that nobody knows of.
create table uploads (
    file_id uuid primary key,
    tenant_id text not null references tenants on delete cascade,
    due_at timestamptz not null
);

create index uploads_due on uploads (due_at);
