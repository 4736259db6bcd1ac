#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The library as others get it: installed, found by pkg-config, one header that C and C++ take, nothing to be seen but steppe_*; the
# example builds against it and runs. Usage: installed.sh SOURCE_DIR BUILD_DIR
set -eu
source=$1 build=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root meson install -C "$build" --no-rebuild >"$root/install.log"
pc=$(find "$root" -name steppe.pc)
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
library=$(find "$root" -name libsteppe.so)
export LD_LIBRARY_PATH=${library%/*}

strange=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^steppe_.*@@STEPPE_0$' | grep -v '^STEPPE_0$' || true)
[ -z "$strange" ] || { echo "exported: $strange"; exit 1; }
for function in $(grep -o 'steppe_[a-z_]*(' "$source/client/steppe.h" | tr -d '(' | sort -u); do
	grep -q "STEPPE_API.*[ *]$function(" "$source/client/steppe.h" || continue
	nm -D --defined-only "$library" | grep -q " $function@@" || { echo "not exported: $function"; exit 1; }
done

flags=$(pkg-config --cflags --libs steppe)
echo '#include <steppe.h>' >"$root/header.c"
cp "$root/header.c" "$root/header.cpp"
# shellcheck disable=SC2086
cc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only $flags "$root/header.c"
# shellcheck disable=SC2086
c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only $flags "$root/header.cpp"
# shellcheck disable=SC2086
cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$root/record" "$source/docs/examples/record.c" $flags
"$root/record" && exit 1 || [ $? -eq 2 ]
"$root/record" localhost:1 /nowhere /nowhere /nowhere cam x.jpg 2>"$root/said" && exit 1
grep -q nowhere "$root/said"
