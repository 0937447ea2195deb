# SPDX-License-Identifier: MIT
# reclaim top: finds machines of running programs, shows one, and says so when there is none.
source "$(dirname "$0")/lib.sh"
build=$(dirname "$reclaim")
program=$build/tests/watched_program
terminal=$build/tests/on_terminal
[ -x "$program" ] || { echo "no $program"; exit 1; }
# Pages of others are not ours to find.
export XDG_RUNTIME_DIR=$work/run TMPDIR=$work
mkdir "$XDG_RUNTIME_DIR"
one=top-test-$$

running=()
trap 'kill "${running[@]}" 2> /dev/null; rm -rf "$work"' EXIT
# begin WORDS...: run the program in the background; its process is $pid, and it ends with end FD.
begin() {
	local fifo=$work/in.${#running[@]} line
	mkfifo "$fifo"
	"$program" "$@" < "$fifo" > "$fifo.out" 2> "$fifo.err" &
	pid=$!
	running+=($pid)
	exec {hold}> "$fifo"
	until grep -q ready "$fifo.out"; do
		kill -0 $pid 2> /dev/null || { fail "$*: $(cat "$fifo.err")"; finish; }
		sleep 0.05
	done
}

# ---- Words that are wrong
expect 2 top --interval 0.1
says "0.25 to 3600"
expect 2 top --interval x
expect 2 top --sort usag
says "did you mean 'usage'"
expect 1 top "no-such-$$" --once
[[ $err == *"no program keeps statistics"* || $err == *"no machine 'no-such-$$'"* ]] || fail "nothing there: $err"

# ---- One machine
begin "$one"
first=$pid first_hold=$hold
[ "$(stat -c %a "$XDG_RUNTIME_DIR/reclaim-$pid-0")" = 600 ] || fail "the page is not its user's alone"
expect 0 top "$one" --once --interval 0.5
silent
prints "$one (process $pid), open for"
prints "of 8.0 MiB"
prints "outer/inner"
prints "4.0 MiB"
expect 0 top "$pid" --json --interval 0.5
silent
[ "$(field budget)" = 8388608 ] || fail "budget: $(field budget)"
[ "$(field pid)" = "$pid" ] || fail "pid"
prints '"group": "outer/inner"'
prints '"nr_free_pages"'
prints '"limit": null'
prints '"limit": 4194304'
# It goes round an area that does not fit: all the time something is faulted in and swapped out.
for rate in faults refaults swapped_out reclaimed; do
	n=$(sed -n '/"per_second"/,/}/p' <<< "$out" | grep -m1 "\"$rate\"" | tr -dc 0-9)
	[ "${n:-0}" -gt 0 ] || fail "$rate per second: ${n:-nothing}"
done
expect 0 top "$one" --once -o "$work/file"
grep -q "per second" "$work/file" || fail "--output"
expect 1 top "$one" --json -o /dev/full
# lib.sh's runs have no terminal.
expect 1 top "$one"
says "try --once"

# ---- Several
begin "$one" 2
expect 1 top "$one" --once
says "3 machines are '$one'"
says "$pid-0"
expect 0 top "$pid-1" --once --interval 0.25
prints "$one (process $pid)"
expect 0 top "$first" --once --interval 0.25
expect 0 top
prints "$pid-1"
prints "open for"

# ---- A program that ends takes its page with it; one that is killed leaves one that nobody shows
exec {hold}>&-
wait $pid || fail "the program failed: $(cat "$work"/in.*.err)"
[ ! -e "$XDG_RUNTIME_DIR/reclaim-$pid-0" ] || fail "its page is still there"
begin "killed-$$"
kill -9 $pid
wait $pid 2> /dev/null
[ -e "$XDG_RUNTIME_DIR/reclaim-$pid-0" ] || fail "no page is left of a killed program"
expect 1 top "killed-$$" --once
begin "next-$$"
[ ! -e "$XDG_RUNTIME_DIR/reclaim-${running[2]}-0" ] || fail "the next one did not clean up"
exec {hold}>&-
wait $pid

# ---- Files that are not what their names say
echo garbage > "$XDG_RUNTIME_DIR/reclaim-1-1"
ln -s /dev/zero "$XDG_RUNTIME_DIR/reclaim-1-2"
mkfifo "$XDG_RUNTIME_DIR/reclaim-1-3"
expect 0 top "$one" --once --interval 0.25
silent

# ---- The screen
export TERM=xterm
"$terminal" 30 100 "sq" "$reclaim" top "$one" --interval 0.25 > "$work/screen"
[ $? = 0 ] || fail "the screen: exit code"
for text in "$one" "per second" refaults "outer/inner" "sort: tree"; do
	grep -aqF "$text" "$work/screen" || fail "the screen does not show '$text'"
done
"$terminal" 5 20 "ssq" "$reclaim" top "$one" > /dev/null || fail "a small screen: exit code"
TERM=no-such-terminal "$terminal" 30 100 "q" "$reclaim" top "$one" > "$work/screen" &&
	fail "an unknown terminal"
grep -aqF -- "--once" "$work/screen" || fail "an unknown terminal: $(cat "$work/screen")"
# When the program ends, so does the screen.
"$terminal" 30 100 "" "$reclaim" top "$one" --interval 0.25 > "$work/screen" {first_hold}>&- &
screen=$!
sleep 0.5
exec {first_hold}>&-
wait $screen || fail "the screen of a program that ends: exit code"
grep -aqF "has ended" "$work/screen" || fail "the screen does not say that the program has ended"

# ---- Metrics, for those who have curl
if command -v curl > /dev/null; then
	begin "$one" 1 "unix:$work/metrics"
	got=$(curl -s --unix-socket "$work/metrics" http://localhost/metrics)
	[[ $got == *"reclaim_budget_bytes{machine=\"$one\",pid=\"$pid\"} 8388608"* ]] ||
		fail "metrics: $(head -c 500 <<< "$got")"
	[[ $got == *"reclaim_group_limit_bytes{machine=\"$one\",pid=\"$pid\",group=\"outer/inner\""* ]] ||
		fail "metrics of groups"
	exec {hold}>&-
	wait $pid
	[ ! -e "$work/metrics" ] || fail "the socket is still there"
fi
finish
