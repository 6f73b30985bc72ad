"""Peers that choose among several servers: HAProxy and Envoy, each as its manual
would have it for calls that take unlike times. Tuned as in peers.py.
"""
import os

from . import peers
from .processes import SUBJECT_CORE, Server, free_address


def haproxy(algorithm):
    def start(folder, backends):
        return peers.haproxy(folder, backends[0], others=backends[1:], balance=algorithm)
    return start


_ENDPOINT = """
        - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}"""


def envoy(folder, backends):
    """LEAST_REQUEST: of two servers the one with fewer calls."""
    binary = os.environ.get("ENVOY") or peers.find(peers.ENVOY, "envoy")
    address = free_address()
    host, port = address.split(":")
    first_host, first_port = backends[0].split(":")
    config = peers.ENVOY_CONFIG.format(host=host, port=port, to_host=first_host,
                                       to_port=first_port, windows=peers.ENVOY_WINDOWS)
    config = config.replace("type: STATIC", "type: STATIC\n    lb_policy: LEAST_REQUEST")
    for backend in backends[1:]:
        to_host, to_port = backend.split(":")
        config = config.rstrip() + _ENDPOINT.format(host=to_host, port=to_port) + "\n"
    path = peers.write(folder, "envoy.yaml", config)
    return Server([binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l",
                   "error"], SUBJECT_CORE, address)


BALANCERS = {"HAProxy leastconn": haproxy("leastconn"), "HAProxy random(2)": haproxy("random(2)"),
             "Envoy LEAST_REQUEST": envoy}
