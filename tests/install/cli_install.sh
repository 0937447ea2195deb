# SPDX-License-Identifier: MIT
# What `cmake --install` brings is enough to write programs with: header, libraries, pkg-config file,
# CMake package, manual pages. And the shared library shows what the header declares, nothing else.
source "$(dirname "$0")/../cli/lib.sh"
build=$(dirname "$reclaim")
source=$(cd "$here/../.." && pwd)
prefix=$work/prefix
cc=${CC:-cc} cxx=${CXX:-c++}
with_cxx=$(command -v "$cxx")

# Nobody installs a library made for a sanitizer, and plain programs do not link with one.
if nm -D "$build"/libreclaim.so 2> "$work/log" | grep -E '__(asan|tsan)_init' > /dev/null; then
	echo "made for a sanitizer: not installed"
	exit 77
fi

cmake --install "$build" --prefix "$prefix" > "$work/log" 2>&1 || {
	fail "install: $(cat "$work/log")"
	finish
}
header=$prefix/include/reclaim/reclaim.h
for h in reclaim inline; do
	cmp -s "$prefix/include/reclaim/$h.h" "$source/include/reclaim/$h.h" ||
		fail "no $h.h, or another one"
done
pc=$(find "$prefix" -name libreclaim.pc)
libdir=$(dirname "$(dirname "$pc")")
[ -n "$pc" ] || fail "no libreclaim.pc"
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

# ---- The headers alone (the one includes the other), in every language it is for
check_header() { # COMPILER LANGUAGE STANDARD
	echo '#include <reclaim/inline.h>' | "$1" -x "$2" -std="$3" -pedantic -Wall -Wextra -Werror \
		-fsyntax-only -I"$prefix/include" - > "$work/log" 2>&1 ||
		fail "the header as $3: $(cat "$work/log")"
}
check_header "$cc" c c11
check_header "$cc" c gnu17
[ -z "$with_cxx" ] || check_header "$cxx" c++ c++11

# ---- Versions agree
version() { sed -n "s/#define RCL_VERSION_$1 //p" "$header"; }
full=$(version MAJOR).$(version MINOR).$(version PATCH)
[ "$(pkg-config --modversion libreclaim)" = "$full" ] || fail "pkg-config and header: versions differ"
so=$libdir/libreclaim.so.$full
[ -f "$so" ] || fail "no $so"
[ "$(readlink "$libdir/libreclaim.so.0")" = "libreclaim.so.$full" ] || fail "no link for the soname"
readelf -d "$so" | grep -q 'SONAME.*\[libreclaim.so.0\]' || fail "soname"
[ "$("$reclaim" --version)" = "reclaim $full" ] || fail "program and header: versions differ"

# ---- Symbols
"$cc" -E -P -I"$prefix/include" "$header" | tr '\n' ' ' |
	grep -oE 'visibility\("default"\)\)\) [^;]*;' | grep -oE 'rcl_[a-z_]+ ?\(' | tr -d ' (' |
	sort -u > "$work/declared"
[ "$(wc -l < "$work/declared")" -gt 20 ] || fail "which functions does the header declare?"
nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sort > "$work/exported"
sed 's/$/@@RECLAIM_0.1/' "$work/declared" | diff - "$work/exported" > "$work/log" ||
	fail "what is declared (<) and exported (>) differs: $(cat "$work/log")"
sed -n 's/^\t\(rcl_[a-z_]*\);$/\1/p' "$source/cmake/libreclaim.map" | sort | diff "$work/declared" - \
	> "$work/log" || fail "header (<) and cmake/libreclaim.map (>) differ: $(cat "$work/log")"
strangers=$(nm -g --defined-only "$libdir/libreclaim.a" | awk 'NF == 3 { print $3 }' |
	grep -v -e '^rcl_' -e '^__odr_asan' -e '^_\.stapsdt')
[ -z "$strangers" ] || fail "names of the static library that are not ours: $strangers"
readelf -lW "$so" | grep -q 'GNU_STACK .*RWE' && fail "the library wants an executable stack"
readelf -d "$so" | grep -q TEXTREL && fail "text relocations"

# ---- Manual pages: one per function
for f in $(cat "$work/declared") reclaim; do
	page=$prefix/share/man/man3/$f.3
	[ -s "$page" ] || { fail "no page for $f"; continue; }
	if grep -q '^\.so ' "$page"; then
		page=$prefix/share/man/$(sed -n 's/^\.so //p' "$page")
	fi
	grep -q "^$f\\b" <(sed -n '/^.SH NAME/,/^.SH SYN/p' "$page") || fail "$f is not in the NAME of $page"
done
if command -v mandoc > /dev/null; then
	(cd "$prefix/share/man" && mandoc -T lint -W warning man3/*.3 | grep -v '\.so is fragile' > "$work/log")
	[ -s "$work/log" ] && fail "mandoc finds fault: $(head -5 "$work/log")"
	text=$(cd "$prefix/share/man" && mandoc -T utf8 man3/rcl_unpin.3 | col -bx)
	[[ $text == *"void rcl_unpin(struct rcl_pin *pin);"* ]] ||
		fail "rcl_unpin(3) does not show rcl_unpin"
fi

if nm -D --undefined-only "$so" | grep -q -e __asan_init -e __tsan_init -e __ubsan_handle; then
	echo "a build with sanitizers: no programs are built"
	finish
fi

# ---- Programs
cat > "$work/program.c" << 'END'
#include <reclaim/reclaim.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	struct rcl_area *area;
	struct rcl_pin pin;
	char *why = NULL;
	int err;

	opt.budget = 8 << 20;
	err = rcl_open(&opt, &machine, &why);
	if (err) {
		fprintf(stderr, "open: %s (%s)\n", why ? why : "?", rcl_strerror(err));
		return 1;
	}
	err = rcl_area_anon(machine, NULL, 100, 0, &area);
	if (!err)
		err = rcl_pin(area, 42, RCL_WRITE, &pin);
	if (!err) {
		strcpy((char *)pin.addr, rcl_version());
		rcl_unpin(&pin);
		err = rcl_pin(area, 42, RCL_READ, &pin);
	}
	if (!err) {
		printf("page 42 holds %s\n", (char *)pin.addr);
		rcl_unpin(&pin);
		err = rcl_area_close(area);
	}
	if (!err)
		err = rcl_close(machine);
	if (err)
		fprintf(stderr, "%s\n", rcl_strerror(err));
	return err != 0;
}
END
cp "$work/program.c" "$work/program.cc"
[ -n "$with_cxx" ] || echo "no C++ compiler: C only"

runs() { # WHAT PROGRAM
	local got
	got=$(timeout 60 "$2" 2>&1) || { fail "$1: fails: $got"; return; }
	[ "$got" = "page 42 holds $full" ] || fail "$1: prints $got"
}
compile() { # WHAT COMPILER SOURCE FLAGS...
	local what=$1 compiler=$2 file=$3
	shift 3
	"$compiler" -Wall -Wextra -Werror "$file" -o "$work/program" "$@" > "$work/log" 2>&1 ||
		{ fail "$what: $(cat "$work/log")"; return; }
	runs "$what" "$work/program"
}
shared=$(pkg-config --cflags --libs libreclaim)
# Everything else may stay shared.
static=$(pkg-config --static --cflags --libs libreclaim | sed 's/-lreclaim/-l:libreclaim.a/')
# shellcheck disable=SC2086
for kind in c ${with_cxx:+cc}; do
	compiler=$([ $kind = c ] && echo "$cc" || echo "$cxx")
	compile "pkg-config, shared, $kind" "$compiler" "$work/program.$kind" $shared
	readelf -d "$work/program" | grep -q 'NEEDED.*libreclaim.so.0' || fail "not linked to the shared library"
	compile "pkg-config, static, $kind" "$compiler" "$work/program.$kind" $static
	readelf -d "$work/program" | grep -q 'NEEDED.*libreclaim' && fail "linked to the shared library"
done

mkdir "$work/project"
cat > "$work/project/CMakeLists.txt" << END
cmake_minimum_required(VERSION 3.16)
project(embedder LANGUAGES C ${with_cxx:+CXX})
find_package(reclaim ${full%.*} REQUIRED)
foreach(kind c ${with_cxx:+cc})
  foreach(library reclaim static)
    add_executable(\${library}-\${kind} ../program.\${kind})
    target_link_libraries(\${library}-\${kind} PRIVATE reclaim::\${library})
  endforeach()
endforeach()
END
if cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" > "$work/log" 2>&1 &&
	cmake --build "$work/project/build" >> "$work/log" 2>&1; then
	for kind in c ${with_cxx:+cc}; do
		runs "find_package, shared, $kind" "$work/project/build/reclaim-$kind"
		runs "find_package, static, $kind" "$work/project/build/static-$kind"
		readelf -d "$work/project/build/static-$kind" | grep -q 'NEEDED.*libreclaim' &&
			fail "reclaim::static is the shared library"
	done
else
	fail "find_package: $(tail -30 "$work/log")"
fi
sed -i 's/find_package(reclaim [0-9.]*/find_package(reclaim 99.0/' "$work/project/CMakeLists.txt"
cmake -S "$work/project" -B "$work/project/build" > "$work/log" 2>&1 && fail "version 99.0 is found"
finish
