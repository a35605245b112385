#!/bin/sh
# Writes .env from deploy/env.example, each empty secret filled with 160 random bits. Never touches an existing .env.
set -eu
cd "${0%/*}/.."
if [ -e .env ]; then
    echo ".env exists and was left as it is. Compare it with deploy/env.example; delete it to start over" >&2
    echo "(a running stack keeps the old passwords in its volumes)." >&2
    exit 1
fi
umask 077
while IFS= read -r line; do
    case "$line" in
    \#*) printf '%s\n' "$line" ;;
    # 40 hexadecimal characters: MinIO takes no longer secret, and none of them needs quoting anywhere.
    *=) printf '%s%s\n' "$line" "$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <deploy/env.example >.env.new
mv .env.new .env
echo "Wrote .env. Next: docker compose up --build --detach"
