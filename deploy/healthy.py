"""Health probes of the containers: `healthy.py grpc HOST:PORT` or `healthy.py http URL`; exit code 0 is healthy.

Dagster's own `dagster api grpc-health-check` asks the same question for nine times the processor time (0.75 s against
0.08 s), every ten seconds, because it imports all of Dagster.
"""  # noqa: INP001 (a script of the image)

from __future__ import annotations

import sys

TIMEOUT_S = 4


def code_server(address: str) -> bool:
    """Whether the code server has loaded its definitions and answers."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(address))
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service="DagsterApi"), timeout=TIMEOUT_S)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def webserver(url: str) -> bool:
    """Whether the web server answers with success."""
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 (the URL is the compose file's own)
            return bool(answer.status == 200)  # noqa: PLR2004 (HTTP's word for success)
    except OSError:
        return False


PROBES = {"grpc": code_server, "http": webserver}

if __name__ == "__main__":
    kind, target = sys.argv[1:]
    sys.exit(0 if PROBES[kind](target) else f"{target} is not healthy")
