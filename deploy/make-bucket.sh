# Runs in the `bucket` container: the lake's bucket, and a user who can do nothing but read and write FlowForge's
# prefix in it. Repeatable. The image has a shell and mc, and no grep.
set -eu
folder=${0%/*}

# Keys go in through standard input, so that they are in no process list.
printf '%s\n%s\n' "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" | mc --quiet alias set store "$MINIO_URL"
mc --quiet mb --ignore-existing store/flowforge
mc --quiet admin policy create store lake-access "$folder/lake-policy.json"
printf '%s\n%s\n' "$LAKE_USER" "$LAKE_PASSWORD" | mc --quiet admin user add store
case "$(mc admin user info store "$LAKE_USER")" in
*lake-access*) ;; # has its policy; giving it again is an error
*) mc --quiet admin policy attach store lake-access --user "$LAKE_USER" ;;
esac
