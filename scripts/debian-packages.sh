#!/usr/bin/env bash
# Install what the tests need from Debian or Ubuntu; without root, say what is missing (those tests then skip).
set -euo pipefail

packages=()
command -v chromium >/dev/null || packages+=(chromium)
[ -n "$(find /usr/share/fonts -name 'NotoSansCJK*' -print -quit 2>/dev/null)" ] || packages+=(fonts-noto-cjk)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Not a Debian system. For all tests, install: ${packages[*]}"
  exit 0
fi
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif sudo -n true 2>/dev/null; then
  as_root=(sudo)
else
  echo "For all tests, run: sudo apt-get install ${packages[*]}"
  exit 0
fi
echo "Installing ${packages[*]} ..."
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
