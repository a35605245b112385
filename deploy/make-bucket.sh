# Runs in the `bucket` container: the lake's bucket, a user who can do nothing but read and write FlowForge's prefix in
# it, and one who can do nothing but add to landing. Repeatable. The image has a shell and mc, and no grep.
set -eu
folder=${0%/*}

# Keys go in through standard input, so that they are in no process list.
printf '%s\n%s\n' "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" | mc --quiet alias set store "$MINIO_URL"
mc --quiet mb --ignore-existing store/flowforge

# A user whose password comes through standard input too, with one policy of this folder.
let_in() {
    user=$1 password=$2 policy=$3
    mc --quiet admin policy create store "$policy-access" "$folder/$policy-policy.json"
    printf '%s\n%s\n' "$user" "$password" | mc --quiet admin user add store
    case "$(mc admin user info store "$user")" in
    *"$policy-access"*) ;; # has its policy; giving it again is an error
    *) mc --quiet admin policy attach store "$policy-access" --user "$user" ;;
    esac
}

let_in "$LAKE_USER" "$LAKE_PASSWORD" lake
let_in "$LANDING_USER" "$LANDING_PASSWORD" landing
