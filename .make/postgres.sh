#!/usr/bin/env bash
# PostgreSQL's programs, 15 or newer. The server itself is started by Vestry, in a folder of its own.
. "$(dirname "$0")/lib.sh"

oldest=15

# The same places where server/embedded looks.
found() {
    local folder version
    for folder in $(printf '%s\n' "$PATH" | tr ':' '\n') "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin \
        /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/local/pgsql*/bin /opt/homebrew/opt/postgresql*/bin \
        /usr/local/opt/postgresql*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
        [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] || continue
        version=$("$folder/postgres" --version 2>/dev/null | awk '{ print $3 }')
        [ "$(comparable "$version")" -ge "$(comparable $oldest)" ] && return
    done
    return 1
}

found && exit

if have apt-get && can_be_root; then
    say "Installing PostgreSQL's programs (package postgresql); Vestry runs them in a folder of its own, about a minute"
    # Debian would make a cluster and start it at every boot, which nobody here asked for.
    conf=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$conf" ]; then
        as_root mkdir -p "${conf%/*}"
        echo "create_main_cluster = false" | as_root tee "$conf" >/dev/null
    fi
    apt_install postgresql || note "apt-get could not install it: Vestry will download PostgreSQL at its first start"
elif have brew; then
    say "Installing PostgreSQL's programs (brew install postgresql@17); Vestry runs them in a folder of its own, about a minute"
    brew install --quiet postgresql@17 || note "brew could not install it: Vestry will download PostgreSQL at its first start"
else
    note "PostgreSQL $oldest or newer is not installed: Vestry will download it at its first start"
fi
