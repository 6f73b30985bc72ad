"""Peers that choose among several servers: HAProxy and Envoy, each as its manual
would have it for calls that take unlike times. Tuned as in peers.py.
"""
import os

from . import peers
from .processes import SUBJECT_CORE, Server, free_address


def haproxy(algorithm):
    def start(folder, backends):
        peers.need("haproxy", "haproxy")
        address = free_address()
        servers = "\n".join(f"  server s{number} {backend} proto h2"
                            for number, backend in enumerate(backends))
        config = peers.write(folder, "haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8000
  tune.h2.initial-window-size 1048576
  tune.h2.max-concurrent-streams 1024
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend in
  bind {address} proto h2
  default_backend out
backend out
  balance {algorithm}
{servers}
""")
        return Server(["haproxy", "-db", "-f", config], SUBJECT_CORE, address)
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
