#!/usr/bin/env bash
# System packages that the units in other languages need: libzmq, protobuf, a C++ compiler, Node.js with npm.
#
#   examples/install.sh          installs what is missing when it may; says what stays missing, and why
#   examples/install.sh --check  only says
#
# Quick when everything is there. Always ends with 0: without these packages everything but the examples works, and their tests
# are skipped with the same reason.
set -uo pipefail

missing() { # packages (Debian's names) that are not there
  command -v g++ >/dev/null || echo g++
  command -v make >/dev/null || echo make
  command -v protoc >/dev/null || echo protobuf-compiler
  if command -v pkg-config >/dev/null; then
    pkg-config --exists libzmq || echo libzmq3-dev
    pkg-config --exists protobuf || echo libprotobuf-dev
  else
    printf '%s\n' pkg-config libzmq3-dev libprotobuf-dev
  fi
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
}

wanted=$(missing | tr '\n' ' ')
[ -z "$wanted" ] && exit 0

skipped() {
  echo "examples: without ${wanted% }; $1"
  case " $wanted" in *" nodejs "* | *" npm "*) echo "examples: skipped: examples/node-unit and its tests" ;; esac
  case " $wanted" in
    *" g++ "* | *" make "* | *protobuf* | *" pkg-config "* | *" libzmq3-dev "*) echo "examples: skipped: examples/cpp-unit and its tests" ;;
  esac
  exit 0
}

[ "${1:-}" = --check ] && skipped "nothing was installed, as asked"
command -v apt-get >/dev/null || skipped "this script knows apt-get only; install them your system's way"
[ "$(id -u)" = 0 ] || skipped "only root may install; as root: apt-get install ${wanted% }"

echo "set-up: system packages for the examples: $wanted"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# $wanted is several words on purpose.
# shellcheck disable=SC2086
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $wanted; } >"$log" 2>&1; then
  tail -n 5 "$log"
  wanted=$(missing | tr '\n' ' ')
  [ -n "$wanted" ] && skipped "apt-get failed, its last lines are above"
fi
wanted=$(missing | tr '\n' ' ')
[ -n "$wanted" ] && skipped "they are installed, but not found on the PATH"
exit 0
