-- Whoever reads the registry, or a backup of it, must not be able to act with what is found there: of session ids
-- and idempotency keys only digests are kept.

-- `sessions.id` is the SHA-256 of the id that the browser holds, in hexadecimal. Sessions that are open stay open.
update sessions set id = encode(sha256(convert_to(id, 'UTF8')), 'hex');

-- `provisioning_runs.idempotency_key` is keyed with the installation's secret, which SQL does not know: the keys of
-- earlier signups end here.
update provisioning_runs set idempotency_key = null where idempotency_key is not null;

-- Digest of what was sent under the key. Another request under it is refused. Null: the key has ended, and every
-- request under it is refused.
alter table provisioning_runs add column request bytea;
