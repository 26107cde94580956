// A hand on the brake: the registry of the server under test, reached as its own role reaches it, so that a run can
// be stopped at a step and looked at. Only for a server these tests have started; what it serves is untouched.
import { execFile } from "node:child_process";
import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const folder = process.env.VESTRY_TEST_DATA_DIR;

/** Whether there is a registry to reach. */
export const reachable = folder !== undefined;

async function run(sql: string) {
  if (!folder) throw new Error("the server under test was not started here");
  const file = (name: string) => readFileSync(join(folder, name), "utf8");
  // What PostgreSQL writes down of itself: the program it was started as, and on its fifth line the socket's folder.
  const programs = dirname(file("postgres/postmaster.opts").split(' "')[0]);
  const socket = file("postgres/postmaster.pid").split("\n")[4];
  // As server/identity/src/secret.rs derives it.
  const password = Buffer.from(hkdfSync("sha256", file("secret.key").trim(), "vestry installation", "role/vestry", 32));
  const given = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", socket, "-U", "vestry", "-d", "vestry_registry", "-c", sql];
  const env = { ...process.env, PGPASSWORD: password.toString("hex") };
  await promisify(execFile)(join(programs, "psql"), given, { env });
}

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Makes the brakes, once; nothing is held until somebody pulls one. */
export async function fitBrakes() {
  await run(`do $fit$ begin
    perform pg_advisory_xact_lock(4217);
    if to_regclass('brakes') is not null then
        return;
    end if;
    create table brakes (church text, at text, sealed bytea, primary key (church, at));

    -- After the insert: tenant and run come in one statement, and before its end the tenant is not to be seen.
    create function hold_run() returns trigger language plpgsql as $$
    begin
        update brakes b set sealed = new.sealed from tenants t
         where t.id = new.tenant_id and b.church = t.name and b.at = 'failure';
        update provisioning_runs r
           set next_attempt_at = case b.at when 'queue' then now() + interval '1 day' else r.next_attempt_at end,
               sealed = case b.at when 'failure' then '\\x00' else r.sealed end
          from brakes b, tenants t
         where r.id = new.id and t.id = new.tenant_id and b.church = t.name and b.at in ('queue', 'failure');
        return null;
    end $$;
    create trigger hold after insert on provisioning_runs for each row execute function hold_run();

    create function hold_step() returns trigger language plpgsql as $$
    declare name text := (select t.name from provisioning_runs r join tenants t on t.id = r.tenant_id where r.id = new.run_id);
    begin
        while exists (select from brakes b where b.church = name and b.at = new.step) loop
            perform pg_sleep(0.01);
        end loop;
        return new;
    end $$;
    create trigger hold before insert on provisioning_events
        for each row when (new.state = 'succeeded') execute function hold_step();
  end $fit$`);
}

/** Until released: the run stays in the queue, or at a step, or its founder cannot be unsealed, so that it fails. */
export const PLACES = ["queue", "place", "database", "schema", "office", "failure"] as const;
export type At = (typeof PLACES)[number];

export async function brake(church: string, ...at: At[]) {
  await run(`insert into brakes (church, at) values ${at.map((one) => `(${quote(church)}, ${quote(one)})`).join(", ")}`);
}

/** Lets a church's run go on. */
export async function release(church: string, ...at: At[]) {
  const these = `b.church = ${quote(church)} and b.at in (${at.map(quote).join(", ")})`;
  const runs = (one: At) => `from brakes b, tenants t where t.id = r.tenant_id and t.name = b.church and ${these} and b.at = '${one}'`;
  await run(`
    update provisioning_runs r set next_attempt_at = now(), status = 'queued' ${runs("queue")};
    update provisioning_runs r set sealed = b.sealed ${runs("failure")};
    delete from brakes b where ${these};`);
}
