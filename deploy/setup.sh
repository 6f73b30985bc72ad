#!/usr/bin/env bash
# Installs what Torchfleet needs, on Debian 12 and 13. Safe to run again: what
# is there is left alone.
#
#   deploy/setup.sh         what building and running needs
#   deploy/setup.sh test    that, and what the tests need
#   deploy/setup.sh bench   what building needs, and the peers that are measured beside
#
# LIBTORCH=<folder>   use the LibTorch in that folder
# TORCH_INDEX=<url>   take torch from that Python package index
#
# LibTorch otherwise comes, in this order, from pip (torch 2.13.0, into
# build/venv) or from Debian (libtorch-dev: slower, and without .pt2 models).
set -euo pipefail

readonly torch_version=2.13.0
# Model servers that are measured beside ours.
readonly triton_wheel=nvidia-pytriton==0.7.0 torchserve_version=0.12.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root build=$root/build venv=$root/build/venv
readonly purpose=${1:-build}

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case $purpose in
  build | test | bench) ;;
  *) die "got '$purpose'; expected build, test or bench" ;;
esac

build_packages=(
  build-essential cmake ninja-build pkg-config ccache
  libgrpc++-dev libgrpc-dev libprotobuf-dev libprotoc-dev protobuf-compiler
  protobuf-compiler-grpc libabsl-dev libre2-dev libc-ares-dev libssl-dev
  libnghttp2-dev libspdlog-dev libfmt-dev libcli11-dev nlohmann-json3-dev
  prometheus-cpp-dev libcivetweb-dev libsimdjson-dev
  libcurl4-openssl-dev libpng-dev libsqlite3-dev zlib1g-dev catch2
  python3 python3-venv
)
test_packages=(
  chromium clang clang-format curl etcd-server faketime iproute2 iptables libclang-rt-dev
  openssl procps
)
# libb64 is perf_analyzer's, which comes with pip as Envoy and MiniLM do.
bench_packages=(haproxy nginx-light nghttp2-client nghttp2-proxy libb64-0d openssl valgrind)

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root; as root, run: $*"; fi
}

# Debian 12 has Catch2 2; version 3 is in its backports, which every mirror of
# Debian carries: the one this machine uses already is asked.
add_backports() {
  local policy mirror signed=''
  policy=$(apt-cache policy)
  [[ $policy == *bookworm-backports* ]] && return 0
  mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "bookworm" && !mirror {mirror = $1} END {print mirror}')
  [[ -n $mirror ]] || die "no apt source for bookworm was found; add one to /etc/apt/sources.list"
  say "adding bookworm-backports from $mirror"
  [[ -f /usr/share/keyrings/debian-archive-keyring.gpg ]] &&
    signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
  echo "deb ${signed}$mirror bookworm-backports main" |
    as_root tee /etc/apt/sources.list.d/torchfleet-backports.list >/dev/null
  as_root apt-get -q update
}

# Is the package there, and in the version we need?
installed() {
  local state
  state=$(dpkg-query -W -f='${Status} ${Version}' "$1" 2>/dev/null) || return 1
  [[ $1 == catch2 ]] && { [[ $state == *'ok installed 3.'* ]]; return; }
  [[ $state == *'ok installed'* ]]
}

install_packages() {
  local package wanted=()
  for package in "$@"; do
    installed "$package" || wanted+=("$package")
  done
  [[ ${#wanted[@]} -gt 0 ]] || return 0
  say "installing ${wanted[*]}"
  as_root apt-get -q update || say "apt-get update failed; going on with the lists that are there"
  if [[ $VERSION_ID == 12 && " ${wanted[*]} " == *' catch2 '* ]]; then
    add_backports
    wanted=("${wanted[@]/%catch2/catch2/bookworm-backports}")
  fi
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install "${wanted[@]}" ||
    die "apt-get could not install: ${wanted[*]}; what it said is above"
}

# A virtual environment that was copied or half made is made anew.
make_venv() {
  "$venv/bin/python" -c 'import pip' 2>/dev/null && return 0
  rm -rf "$venv"
  python3 -m venv "$venv"
}

pip_install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

libtorch_from_pip() {
  make_venv || return 1
  if ! "$venv/bin/python" -c "import importlib.metadata as m, sys
sys.exit(not m.version('torch').startswith('$torch_version'))" 2>/dev/null; then
    say "installing torch $torch_version with pip (about 200 MB)"
    pip_install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch==$torch_version" || return 1
  fi
  libtorch=$("$venv/bin/python" -c "import importlib.util as u, os
print(os.path.dirname(u.find_spec('torch').origin))") || return 1
}

libtorch_from_debian() {
  say "pip has no torch $torch_version for this machine; taking Debian's LibTorch, which is older:"
  say "models in .pt2 files cannot run with it"
  # The BLAS it would pull in by itself is 30 times slower.
  install_packages libtorch-dev libopenblas0-pthread
  libtorch=/usr
}

find_libtorch() {
  mkdir -p "$build"
  if [[ -n ${LIBTORCH:-} ]]; then
    [[ -e $LIBTORCH/share/cmake/Torch/TorchConfig.cmake ]] ||
      die "LIBTORCH is '$LIBTORCH', which holds no share/cmake/Torch/TorchConfig.cmake"
    libtorch=$LIBTORCH
  else
    libtorch_from_pip || libtorch_from_debian
  fi
  echo "$libtorch" >"$build/libtorch.path"
  say "LibTorch: $libtorch"
}

# Tests start an etcd of their own; the package would start one for the system.
mask_etcd_service() {
  local unit=/etc/systemd/system/etcd.service
  installed etcd-server || [[ -e $unit || -L $unit ]] && return 0
  say "etcd is not to run as a system service; to have that: systemctl unmask etcd"
  as_root mkdir -p "${unit%/*}"
  as_root ln -s /dev/null "$unit"
}

install_test_tools() {
  mask_etcd_service
  install_packages "${test_packages[@]}"
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    install_packages nodejs npm
  fi
  make_venv
  say "Python packages of the tests"
  pip_install -r "$root/tests/requirements.txt"
  if ! cmp -s "$root/tests/package.json" "$build/node/package.json" ||
    [[ ! -d $build/node/node_modules ]]; then
    say "npm packages of the tests"
    mkdir -p "$build/node"
    cp "$root/tests/package.json" "$build/node/"
    (cd "$build/node" && npm install --silent --no-audit --no-fund --no-package-lock)
  fi
}

# Each in a folder of its own, as they want other versions of the same packages.
# One that cannot be had is said to be missing where it would be measured.
install_model_servers() {
  local peers=$build/peers
  command -v java >/dev/null || install_packages default-jre-headless
  if [[ ! -d $peers/triton/pytriton ]]; then
    say "Triton's server, from the wheel $triton_wheel"
    pip_install --no-deps --target "$peers/triton" "$triton_wheel" || say "no Triton here"
  fi
  if ! "$peers/torchserve/bin/python" -c 'import ts, torch, model_archiver' 2>/dev/null; then
    say "TorchServe $torchserve_version, with a torch of its own"
    rm -rf "$peers/torchserve"
    python3 -m venv "$peers/torchserve"
    "$peers/torchserve/bin/python" -m pip install --quiet --disable-pip-version-check \
      ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "torch==$torch_version" \
      "torchserve==$torchserve_version" torch-model-archiver numpy packaging Pillow psutil pyyaml \
      requests || say "no TorchServe here"
  fi
}

# Boost's headers, for Beast: 1.81 at least, which Debian 12 has beside its own.
install_bench_tools() {
  local boost=libboost-dev
  [[ $VERSION_ID == 12 ]] && boost=libboost1.81-dev
  install_packages "${bench_packages[@]}" "$boost"
  make_venv
  say "Python packages of the benchmark, which are the tests'"
  pip_install -r "$root/tests/requirements.txt"
  install_model_servers
}

[[ -r /etc/os-release ]] && . /etc/os-release
if [[ ${ID:-} != debian || (${VERSION_ID:-} != 12 && ${VERSION_ID:-} != 13) ]]; then
  die "this is ${PRETTY_NAME:-an unknown system}; expected Debian 12 or 13. Elsewhere, install the
  equivalents of: ${build_packages[*]}
  and torch $torch_version, and build with LIBTORCH=<its folder>"
fi

install_packages "${build_packages[@]}"
find_libtorch
case $purpose in
  test) install_test_tools ;;
  bench) install_bench_tools ;;
esac
say "done"
