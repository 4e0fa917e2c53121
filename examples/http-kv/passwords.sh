#!/bin/sh
# Makes .env, once: random passwords that Compose and local.py read. Only you can read it, and git ignores it.
set -eu
cd "$(dirname "$0")"
umask 077
[ ! -e .env ] || exit 0
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
new=$(mktemp .env.XXXXXX)
printf 'REDIS_PASSWORD=%s\nADMIN_TOKEN=%s\n' "$(random)" "$(random)" >"$new"
mv "$new" .env
