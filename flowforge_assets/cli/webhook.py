"""`flowforge webhook`: the web server that takes deliveries, until it is told to end."""

from __future__ import annotations

import logging

from flowforge_assets.webhook.declared import declared_endpoints
from flowforge_resources.lake import Lake

# Deliveries at once, each with up to `max_bytes` on scratch; more are told to come again (503).
AT_ONCE = 64
_GOODBYE_S = 20


def serve(host: str, port: int) -> None:
    """Run the web server. Every secret is looked up first: one that is not there is told now, not to a sender.

    Raises:
        SecretError, DefinitionError, SettingError: in words what is wrong.
    """
    import uvicorn

    from flowforge_assets.webhook.connections import ImpatientProtocol
    from flowforge_assets.webhook.server import LOG, Webhook

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    endpoints = declared_endpoints()
    for one in endpoints.values():
        one.secrets()
        LOG.info("POST /landing/%s/%s takes %s", one.table.workflow, one.table.name, ", ".join(one.suffixes))
    if not endpoints:
        LOG.warning("no table declares `webhook`: every delivery is answered with 404 (see docs/http.md)")
    uvicorn.run(
        Webhook(Lake(), endpoints).application(),
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="none",  # who asks for a websocket gets an answer to the request that it is
        log_config=None,
        access_log=False,  # a sender's own words, and one line a delivery is written anyhow
        server_header=False,
        limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=_GOODBYE_S,
    )
