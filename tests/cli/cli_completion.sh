# SPDX-License-Identifier: MIT
# Completion of command lines, as the shells would do it.
source "$(dirname "$0")/lib.sh"

"$reclaim" --completion bash > "$work/bash" || fail "--completion bash"
"$reclaim" --completion zsh > "$work/zsh" || fail "--completion zsh"
expect 2 --completion fish
says "bash or zsh"

source "$work/bash" || fail "bash cannot read it"
complete -p reclaim | grep -q -- '-F _reclaim' || fail "not registered"

# offers WORDS... : what completing the last word offers, sorted, in one line.
offers() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_reclaim
	printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/ $//'
}
# completes TO WORDS...
completes() {
	local to=$1 got
	shift
	got=$(offers "$@")
	[ "$got" = "$to" ] || fail "$*: offers '$got', not '$to'"
}

completes "sim size" reclaim si
completes "--help" reclaim --h
completes "--report" reclaim size --rep
completes "hdd nvme ssd virtio" reclaim size --device ""
completes "nvme" reclaim sim -d n
completes "nvme" reclaim sim --device = n
completes "hdd nvme ssd virtio" reclaim sim --device =
completes "off on" reclaim sim --readahead o
completes "vm.swappiness=" reclaim sim --set vm.swap
completes "emulated native" reclaim size --costs ""
completes "" reclaim sim --limit 1
[[ $(offers reclaim sim --format "") == *oracleGeneral*tracegen* ]] || fail "formats"
mkdir "$work/d"
touch "$work/d/one.trace" "$work/d/two words"
completes "$work/d/one.trace" reclaim sim "$work/d/o"
completes "$work/d/two words" reclaim size --report "$work/d/t"
# Every option of every verb.
for verb in $("$reclaim" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	options=$("$reclaim" "$verb" --help | sed -n '/^Options:/,/^$/s/^ *\(-.,\)\? *\(--[a-z-]*\).*/\2/p' |
		sort -u | tr '\n' ' ' | sed 's/ $//')
	completes "$options" reclaim "$verb" --
done

# zsh: through a terminal of its own, since its completion works at a prompt only.
if command -v zsh > /dev/null; then
	zsh -n "$work/zsh" || fail "zsh cannot read it"
	mkdir "$work/fpath"
	cp "$work/zsh" "$work/fpath/_reclaim"
	cat > "$work/ask.zsh" <<- 'END'
		zmodload zsh/zpty
		ask() {
			zpty z zsh -f -i
			zpty -w z "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -d $2"
			zpty -w z "zstyle ':completion:*' list-prompt ''; LISTMAX=0; stty cols 200 rows 100"
			zpty -w z "echo rea''dy"
			local line text
			while zpty -r z line && [[ $line != *ready* ]]; do :; done
			zpty -w -n z "$3"$'\t\t'
			sleep 2
			while zpty -r -t z line; do text+=$line; done
			print -r -- $text
			zpty -d z
		}
		ask "$@"
	END
	got=$(timeout 60 zsh -f "$work/ask.zsh" "$work/fpath" "$work/dump" 'reclaim size --dev' < /dev/null)
	[[ $got == *--device* ]] || fail "zsh does not complete an option: $got"
	got=$(timeout 60 zsh -f "$work/ask.zsh" "$work/fpath" "$work/dump" 'reclaim si' < /dev/null)
	[[ $got == *sim*size* ]] || fail "zsh does not offer verbs: $got"
	got=$(timeout 60 zsh -f "$work/ask.zsh" "$work/fpath" "$work/dump" 'reclaim sim --device ' < /dev/null)
	[[ $got == *hdd*nvme* ]] || fail "zsh does not offer devices: $got"
fi
finish
