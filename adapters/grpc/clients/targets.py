"""Addresses of equal processes in gRPC's own words. It imports nothing that takes time."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def target_of(addresses: Sequence[str]) -> str:
    """What a channel is opened to.

    One is taken as it is; a name with `dns:///` before it stands for all that it resolves to.
    Raises ValueError where several are given, and are not IP addresses of one family.
    """
    if len(addresses) == 1:
        return addresses[0]
    families = {_family(address) for address in addresses}
    if len(families) != 1:
        raise ValueError("several must be IP addresses of one family")
    return f"{families.pop()}:{','.join(addresses)}"


def _family(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        if port.isdigit():
            return f"ipv{ipaddress.ip_address(host.strip('[]')).version}"
    except ValueError:
        pass
    raise ValueError(
        f"{address!r} is no IP address with a port; several processes behind names are given as "
        "one name that stands for them all, such as dns:///models:7600"
    )
