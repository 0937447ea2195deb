#!/bin/bash
# SPDX-License-Identifier: MIT
# The program in README.md runs, and prints what README.md says.
set -euo pipefail
[ "$("$1")" = "page 4711 of 65536 holds 4711" ]
