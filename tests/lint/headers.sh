#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles by itself. Usage: headers.sh BUILD_DIR
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
faults=0
for header in $(git -C "$top" ls-files 'base/*.h' 'proto/*.h' 'placement/*.h' 'storaged/*.h' 'client/*.h' 'tools/*.h'); do
	gcc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$top" -I"$build" -I"$build/proto" -x c \
		-include "$top/$header" /dev/null || faults=$((faults + 1))
done
exit $((faults > 0))
