#!/bin/sh
# The one list of the Debian packages that Paddock's demo, tests and benchmark use.
# usage: debian-packages.sh demo|test|long|bench
# Installs what is missing where it may (root); elsewhere it names what is missing and fails, except for the
# demo, which falls back to a built-in app.
set -eu
purpose=${1:-test}
demo="gunicorn python3-django curl"
case $purpose in
  demo) packages=$demo ;;
  test) packages="$demo pebble openssl nginx-light chromium prometheus nghttp2-client wrk iproute2 python3-uvicorn python3-websockets certbot libnss3-tools" ;;
  long) packages="$demo pebble openssl faketime" ;;
  bench) packages="$demo openssl nginx-light caddy haproxy wrk nghttp2-client python3-uvicorn python3-websockets" ;;
  *) echo "usage: debian-packages.sh demo|test|long|bench" >&2; exit 2 ;;
esac

missing=
for package in $packages; do
  case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing from Debian:$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends $missing >&2; then exit 0; fi
fi
echo "missing Debian packages:$missing" >&2
echo "install them with: sudo apt-get install --no-install-recommends$missing" >&2
[ "$purpose" = demo ] && exit 0
exit 1
