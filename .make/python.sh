#!/usr/bin/env bash
# The tests' programs that are written in Python, in an environment of their own: nothing else on the machine changes.
. "$(dirname "$0")/lib.sh"

programs="moto_server schemathesis"

# Its folder of programs comes last, when all of them are there. A Python that was replaced since takes them along.
[ -d "$python/bin" ] && "$python/environment/bin/python" -c '' 2>/dev/null && exit

interpreter() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        have "$name" && [ "$(comparable "$("$name" --version 2>&1)")" -ge "$(comparable $oldest_python)" ] || continue
        echo "$name"
        return
    done
    return 1
}

if ! interpreter >/dev/null; then
    if have apt-get && can_be_root; then
        say "Installing Python (packages python3, python3-venv), for programs the tests talk to"
        apt_install python3 python3-venv || true
    elif have brew; then
        say "Installing Python (brew install python@3.13), for programs the tests talk to; about a minute"
        brew install --quiet python@3.13 || true
    fi
fi
python3=$(interpreter) || die "Python $oldest_python or newer is missing: install it with the module venv, then run make again."

say "Fetching a Cognito to test against (moto) and a tester of the API (schemathesis) by pip; about a minute"
rm -rf "$python"
mkdir -p "$python" || die "The folder $tools cannot be written: make it writable, or name another in XDG_CACHE_HOME."

# Debian packs what makes an environment by itself.
make_environment() { "$python3" -m venv --clear "$python/environment" >/dev/null 2>&1; }
make_environment || { have apt-get && can_be_root && apt_install python3-venv && make_environment; } ||
    die "$python3 cannot make an environment: install its module venv (package python3-venv on Debian), then run make again."

"$python/environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r .make/requirements.txt ||
    die "pip could not fetch what .make/requirements.txt names: check the network, then run make again."

mkdir "$python/programs"
for program in $programs; do
    ln -s "../environment/bin/$program" "$python/programs/$program"
done
mv "$python/programs" "$python/bin"
