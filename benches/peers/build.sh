#!/usr/bin/env bash
# Builds the floor and the servers that parlor is compared with into target/peers, from public
# packages. A server that cannot be built is skipped with a message and left out of the comparison.
# Usage: build.sh [NAME]...   (floor gorilla node rust; without names: all)
set -uo pipefail
cd "$(dirname "$0")/../.."
peers=benches/peers
out="$PWD/target/peers"
mkdir -p "$out"
skipped=()

skip() {
  echo "skipped $1: $2" >&2
  skipped+=("$1")
}

build_floor() {
  cargo build --release --locked --quiet --manifest-path benches/floor/Cargo.toml \
    --target-dir "$out/floor" || return
  cp "$out/floor/release/floor" "$out/floor.bin"
}

build_rust() {
  cargo build --release --locked --quiet --manifest-path "$peers/rust/Cargo.toml" \
    --target-dir "$out/rust" || return
  cp "$out/rust/release/tokio_tungstenite" "$out/tokio_tungstenite.bin"
  cp "$out/rust/release/axum" "$out/axum.bin"
}

# Installs Debian packages, if run as root.
have_gorilla() {
  command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/gorilla/websocket ]
}

build_gorilla() {
  if ! have_gorilla && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq -y golang golang-github-gorilla-websocket-dev >/dev/null
  fi
  have_gorilla || return
  GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= \
    go build -o "$out/gorilla.bin" "$peers/gorilla/main.go"
}

build_node() {
  command -v npm >/dev/null || return
  mkdir -p "$out/node"
  cp "$peers"/node/package.json "$peers"/node/package-lock.json "$peers"/node/*.js "$out/node/"
  npm ci --prefix "$out/node" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
    return
  # The addon exists only for some systems and versions of node.
  if ! (cd "$out/node" && node -e 'require("uwebsockets")') 2>"$out/uws.err"; then
    rm "$out/node/uws.js"
    skip uws "its prebuilt addon cannot be loaded here: $(tail -n 1 "$out/uws.err")"
  fi
}

[ $# -gt 0 ] || set -- floor gorilla node rust
for name in "$@"; do
  case "$name" in
    floor | gorilla | node | rust)
      echo "building $name"
      "build_$name" || skip "$name" "it could not be built from its packages"
      ;;
    *)
      echo "there is no peer $name" >&2
      exit 2
      ;;
  esac
done
if [ "${#skipped[@]}" -gt 0 ]; then
  echo "without: ${skipped[*]}"
else
  echo "all are built"
fi
