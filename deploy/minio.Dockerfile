# The last image MinIO published. Since October 2025 its releases are source only and the repository is archived, so
# this one gets no security fixes (RELEASE.2025-10-15T17-29-55Z, which closes a privilege escalation through service
# accounts, exists as source alone). It is fit for trying FlowForge on one machine. In production point
# FLOWFORGE_LAKE_URL at a store that somebody maintains (docs/deploy.md).
FROM minio/minio:RELEASE.2025-09-07T16-13-09Z
# A named volume takes the owner of the folder it is first mounted on; the image's /data belongs to root.
RUN mkdir /lake && chown 10001:10001 /lake
USER 10001:10001
