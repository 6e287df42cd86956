"""The standard health service, asked with messages that protobuf itself brings along.

`HealthCheckRequest` has one string as field 1 and `HealthCheckResponse` one enum as field 1: on
the wire they are a `StringValue` and an `Int32Value`. So no other package is needed.
"""

from __future__ import annotations

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

METHOD = "/grpc.health.v1.Health/Check"

_SERVING = 1


def request_for(service: str) -> StringValue:
    """A check of one service by its full name, or of the whole server by the empty one."""
    return StringValue(value=service)


def is_serving(response: Int32Value) -> bool:
    """True where the server takes calls."""
    return response.value == _SERVING
