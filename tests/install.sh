#!/usr/bin/env bash
# System packages that tests need: for the units in other languages libzmq, protobuf, a C++ compiler, Node.js with npm; a browser that
# looks at reports and viewer; a PostgreSQL server for the run history of a team.
#
#   tests/install.sh          installs what is missing when it may; says what stays missing, and why
#   tests/install.sh --check  only says
#
# Quick when everything is there. Always ends with 0: without these packages icv works, and the tests that need them are skipped with
# the same reason.
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
  command -v chromium >/dev/null || echo chromium
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
}

wanted=$(missing | tr '\n' ' ')
[ -z "$wanted" ] && exit 0

skipped() {
  echo "tests: without ${wanted% }; $1"
  case " $wanted" in *" nodejs "* | *" npm "*) echo "tests: skipped: examples/node-unit and its tests, logs in the readers of Foxglove, the front end built anew" ;; esac
  case " $wanted" in
    *" g++ "* | *" make "* | *protobuf* | *" pkg-config "* | *" libzmq3-dev "*) echo "tests: skipped: examples/cpp-unit and its tests" ;;
  esac
  case " $wanted" in *" chromium "*) echo "tests: skipped: what a browser shows of reports, suites and the viewer" ;; esac
  case " $wanted" in *" postgresql "*) echo "tests: skipped: run history in PostgreSQL" ;; esac
  exit 0
}

[ "${1:-}" = --check ] && skipped "nothing was installed, as asked"
command -v apt-get >/dev/null || skipped "this script knows apt-get only; install them your system's way"
[ "$(id -u)" = 0 ] || skipped "only root may install; as root: apt-get install ${wanted% }"

echo "set-up: system packages for the tests: $wanted"
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
