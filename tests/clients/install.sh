#!/usr/bin/env bash
# Installs the independent clients that the tests use into target/clients: Python's websockets,
# kosoku and tlslite-ng, node's ws and what drives browsers, in exact versions. The browsers (Chromium, Firefox and
# WebKitGTK's MiniBrowser), the proxies (Caddy, nginx, HAProxy), certbot, lego, pebble, sslscan, systemd's tools,
# redis-server, openssl, curl, ip and strace come from the system; as root on Debian the script installs them too.
# Does nothing if all are installed.
#
#   tests/clients/install.sh             all of it
#   tests/clients/install.sh cargo-deb   what builds the .deb, into target/clients/cargo-deb
set -euo pipefail
cd "$(dirname "$0")/../.."
clients=target/clients

# With gzip alone, and not optimized: it is built more often than it is used.
cargo_deb=3.8.0
if [ "${1:-}" = cargo-deb ]; then
    if ! "$clients/cargo-deb/bin/cargo-deb" --version 2>/dev/null | grep -x "cargo-deb $cargo_deb" >/dev/null; then
        echo "tests: installing cargo-deb into $clients"
        cargo install --quiet --debug --locked --version "$cargo_deb" --no-default-features \
            --features gzip --target-dir "$clients/cargo-deb/build" --root "$clients/cargo-deb" cargo-deb
        rm -rf "$clients/cargo-deb/build"
    fi
    exit 0
fi
wanted=$(cat tests/clients/requirements.txt tests/clients/package-lock.json | cksum)

need() { # PROGRAM-OR-FILE PACKAGE
    command -v "$1" >/dev/null && return
    [ -e "$1" ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "tests: installing $2"
        [ -n "${updated:-}" ] || { apt-get update -qq && updated=1; }
        no_services
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
    else
        echo "tests: $1 is missing; install the package $2" >&2
        exit 1
    fi
}

# The tests start the proxies by themselves: Debian starts no service while this file says so.
no_services() {
    local policy=/usr/sbin/policy-rc.d
    [ -z "${quiet:-}" ] && [ ! -e "$policy" ] || return 0
    quiet=1
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    # shellcheck disable=SC2064
    trap "rm -f '$policy'" EXIT
}

need python3 python3
need node nodejs
need npm npm
need curl curl
need strace strace
need ip iproute2
need systemd-socket-activate systemd
need openssl openssl
need nginx nginx-light
need haproxy haproxy
need caddy caddy
need certbot certbot
need lego lego
need pebble pebble
need sslscan sslscan
need redis-server redis-server
command -v chromium-browser >/dev/null || need chromium chromium
command -v firefox >/dev/null || need firefox-esr firefox-esr
need WebKitWebDriver webkit2gtk-driver
need Xvfb xvfb
# Chinese text on the screenshots.
need /usr/share/fonts/truetype/wqy/wqy-microhei.ttc fonts-wqy-microhei

if [ "$(cat "$clients/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "tests: installing clients into $clients"
    rm -rf "$clients" && mkdir -p "$clients"
    python3 -m venv "$clients/python"
    "$clients/python/bin/pip" install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
    cp tests/clients/package.json tests/clients/package-lock.json "$clients/"
    (cd "$clients" && npm ci --silent --no-audit --no-fund)
    echo "$wanted" >"$clients/installed"
fi
