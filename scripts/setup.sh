#!/bin/sh
# Installs what is missing: npm packages (with --dev, those of development too) and, with --system, Debian's packages.
# Plain sh: it must run before there is any Node of ours. Quiet and quick when nothing is missing.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
dev= system= bench=
for option in "$@"; do
  case $option in
    --dev) dev=1 ;;
    --system) system=1 ;;
    --bench) bench=1 ;;
    *) echo "setup: unknown option $option (known: --dev --system --bench)" >&2; exit 2 ;;
  esac
done

fail() { echo "ambit: $1" >&2; exit 1; }

install_system() { # binaries to look for = packages to install
  missing=
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null 2>&1 || missing="$missing ${pair#*=}"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null 2>&1 || fail "missing programs: install the packages$missing with your package manager, then try again"
  [ "$(id -u)" = 0 ] || fail "missing packages: run 'sudo apt-get install -y$missing', then try again"
  echo "ambit: installing Debian packages:$missing" >&2
  # shellcheck disable=SC2086
  { apt-get install -y -qq $missing || { apt-get update -qq && apt-get install -y -qq $missing; }; } >/dev/null 2>"$root/.setup.log" </dev/null ||
    { cat "$root/.setup.log" >&2; rm -f "$root/.setup.log"; fail "cannot install packages: run 'apt-get update && apt-get install -y$missing', then try again"; }
  rm -f "$root/.setup.log"
}

export DEBIAN_FRONTEND=noninteractive
[ -z "$system" ] || install_system nft=nftables ip=iproute2 unshare=util-linux
# Peers of tests, which are skipped without them: installed where that is no question. Who only runs a mesh gets none.
if [ -n "$dev" ] && [ -n "$system" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  python=
  /usr/bin/python3 -c 'import h2' >/dev/null 2>&1 || python="h2-of-python=python3-h2"
  # shellcheck disable=SC2086
  (install_system promtool=prometheus dig=bind9-dnsutils openssl=openssl iptables-restore=iptables nginx=nginx-light haproxy=haproxy zsh=zsh fish=fish $python) ||
    echo "ambit: goes on without them; the tests that need them are skipped" >&2
fi
# What tests stand beside what they test.
[ -z "$system" ] || [ -z "$dev" ] || install_system iptables=iptables
[ -z "$bench" ] || install_system haproxy=haproxy cc=gcc openssl=openssl nginx=nginx-light wrk=wrk h2load=nghttp2-client

# A tree that has the development packages keeps them.
[ ! -d "$root/node_modules/typescript" ] || dev=1

want=$(cksum <"$root/package-lock.json")
have=$(cat "$root/node_modules/.ambit-setup" 2>/dev/null || true)
[ "$have" != "dev $want" ] || exit 0
if [ -z "$dev" ] && [ "$have" = "run $want" ]; then exit 0; fi

command -v npm >/dev/null 2>&1 || fail "npm is missing: install Node.js 20 or newer with npm (Debian: apt-get install -y nodejs npm), then try again"
major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
[ "$major" -ge 20 ] || fail "Node.js 20 or newer is needed to install (found ${major}): install it, then try again"
cd "$root"
echo "ambit: installing npm packages (once)" >&2
mode=run omit=--omit=dev
if [ -n "$dev" ]; then mode=dev omit=--include=dev; fi
log=$(mktemp)
npm install --no-save $omit --no-audit --no-fund --loglevel=error >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; rm -f "$log"; fail "npm install failed: see above"; }
rm -f "$log"
[ -x node_modules/.bin/node ] || fail "the npm package 'node' did not install its binary: run 'npm rebuild node' in $root, then try again"
# Warms Node's compile cache: processes then start sooner, and never load the type stripper, which costs each some 20 MB.
# An entry point without its arguments refuses to run, but its code was loaded. Only a help for speed: never a reason to fail.
for entry in src/bin/*.ts; do
  env -i NODE_COMPILE_CACHE="$root/node_modules/.cache/ambit" timeout 20 node_modules/.bin/node "$entry" >/dev/null 2>&1 </dev/null || true
done
printf '%s %s' "$mode" "$want" >node_modules/.ambit-setup
