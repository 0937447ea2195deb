#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a test with a folder of its own for whatever it makes; gone afterwards, however the test ends.
# What a run that was killed together with this script left is gone before the next one.
# Usage: in_folder.sh FOLDER COMMAND...
folder=$1
shift
clean() {
	rm -rf "$folder"
}
clean
mkdir -p "$folder" || exit 1
trap clean EXIT
TMPDIR=$folder "$@"
