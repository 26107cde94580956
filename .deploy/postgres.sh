#!/usr/bin/env bash
# Creates Vestry's role and registry. The PostgreSQL image runs this once, when its volume is empty; by hand:
#   VESTRY_DATABASE_PASSWORD=… .deploy/postgres.sh --host=… --username=postgres
set -euo pipefail

# psql reads the password from the environment itself: an argument would show in `ps`.
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres "$@" <<'SQL'
\getenv password VESTRY_DATABASE_PASSWORD
create role vestry login createdb createrole password :'password';
grant pg_signal_backend to vestry;
create database vestry_registry owner vestry;
SQL
