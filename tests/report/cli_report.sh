# SPDX-License-Identifier: MIT
#
# The page of `reclaim size --report` in a real browser: it loads without a complaint and without
# asking for anything, light and dark, on a large screen and on a phone; every chart is drawn, no
# text leaves its drawing or lies on another, nothing is too pale, and the page is no wider than the
# screen. Without Chromium the test is skipped. KEEP=folder keeps the screenshots.
source "$(dirname "$0")/../cli/lib.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "skipped: no Chromium"
	exit 77
}
# browse FILE WxH OPTION...: its output in $out, what it complains of in $err.
browse() {
	local file=$1 size=$2 profile
	shift 2
	profile=$(mktemp -d "$work/profile.XXXX")
	out=$(timeout 120 "$browser" --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--disable-dev-shm-usage --hide-scrollbars --enable-logging=stderr \
		--user-data-dir="$profile" --window-size="${size/x/,}" "$@" "file://$file" 2> "$work/err")
	err=$(grep -a CONSOLE "$work/err")
}

# Is this browser able to fail the test?
echo '<!DOCTYPE html><script>console.error("broken")</script><p>here' > "$work/bad.html"
browse "$work/bad.html" 800x600 --dump-dom
if [[ $out != *here* ]]; then
	echo "skipped: Chromium does not run here: $(tail -3 "$work/err")"
	exit 77
fi
[[ $err == *broken* ]] || fail "errors in the page would go unseen"

make_traces
expect 0 size "$work/small.bin" --report "$work/small.html"
cat > "$work/tight.spec" <<- END
	seed 1
	anon 3000
	phase 60000
	stream 1 anon scan 1 1
END
"$reclaim" gen "$work/tight.spec" -o "$work/tight.bin"
expect 0 size "$work/tight.bin" --swap 0 --report "$work/tight.html"

# What a person would see at once, asked of the page itself.
cat > "$work/look.js" <<- 'END'
	const found = [];
	const box = e => e.getBoundingClientRect();
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const light = c => rgb(c).slice(0, 3).map(v => v / 255)
		.map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = getComputedStyle(e).backgroundColor;
			if (rgb(c)[3] !== 0) return c;
		}
		return 'rgb(255, 255, 255)';
	};
	const charts = document.querySelectorAll('svg[role=img]');
	for (const svg of charts) {
		const name = svg.querySelector('title').id, texts = [...svg.querySelectorAll('text')];
		if (box(svg).width < 200 || box(svg).height < 120) found.push(name + ': too small');
		if (!svg.querySelector('path.a').getTotalLength()) found.push(name + ': no line');
		for (const t of texts) {
			const b = box(t), s = box(svg);
			if (b.left < s.left - 1 || b.right > s.right + 1 || b.top < s.top - 1 || b.bottom > s.bottom + 1)
				found.push(name + ': outside: ' + t.textContent);
			if (b.height < 8) found.push(name + ': too small to read: ' + t.textContent);
			if (contrast(getComputedStyle(t).fill, behind(svg)) < 4.5) found.push(name + ': pale: ' + t.textContent);
			for (const u of texts) {
				const c = box(u);
				if (t !== u && b.left < c.right - 1 && c.left < b.right - 1 && b.top < c.bottom - 4 && c.top < b.bottom - 4)
					found.push(name + ': ' + t.textContent + ' lies on ' + u.textContent);
			}
		}
		for (const p of svg.querySelectorAll('path.a, path.b, path.c, path.d, path.e'))
			if (contrast(getComputedStyle(p).stroke, behind(svg)) < 3) found.push(name + ': pale line');
	}
	for (const e of document.querySelectorAll('p, li, figcaption, td, th, h1, h2, summary'))
		if (contrast(getComputedStyle(e).color, behind(e)) < 4.5) found.push('pale: ' + e.textContent.slice(0, 30));
	if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the screen');
	const dark = light(getComputedStyle(document.body).backgroundColor) < 0.1;
	if (performance.getEntriesByType('resource').length) found.push('it asked for something');
	document.body.textContent = `LOOK charts=${charts.length} dark=${dark} width=${innerWidth} found=${JSON.stringify(found)} END`;
END

for page in small tight; do
	browse "$work/$page.html" 1200x1000 --dump-dom
	[ -z "$err" ] || fail "$page: $err"
	[[ $out == *'role="img"'*'</html>'* ]] || fail "$page: not the page"
	{
		cat "$work/$page.html"
		echo "<script>"
		cat "$work/look.js"
		echo "</script>"
	} > "$work/look.html"
	for scheme in light dark; do
		dark=()
		[ $scheme = light ] || dark=(--blink-settings=preferredColorScheme=0)
		for size in 1200x1000 700x1000 500x900; do
			browse "$work/look.html" $size "${dark[@]}" --dump-dom
			look=$(grep -ao 'LOOK .* END' <<< "$out")
			[ -n "$look" ] || fail "$page, $scheme, $size: the page cannot be looked at: $err"
			[[ $look == *"charts=4 "* ]] || fail "$page, $scheme, $size: $look"
			[[ $look == *"found=[] END" ]] || fail "$page, $scheme, $size: $look"
			[ $scheme = light ] && want=false || want=true
			[[ $look == *"dark=$want"* ]] || fail "$page: not $scheme"
		done
		browse "$work/$page.html" 1200x2600 "${dark[@]}" --screenshot="$work/$page-$scheme.png"
		[ "$(head -c 4 "$work/$page-$scheme.png" | tail -c 3)" = PNG ] || fail "no screenshot"
	done
	cmp -s "$work/$page-light.png" "$work/$page-dark.png" && fail "light and dark look the same"
	browse "$work/$page.html" 500x4200 --screenshot="$work/$page-phone.png"
	browse "$work/$page.html" 1200x1000 --print-to-pdf="$work/$page.pdf" --no-pdf-header-footer
	[ "$(head -c 4 "$work/$page.pdf")" = %PDF ] || fail "it does not print"
done
if [ -n "${KEEP:-}" ]; then
	cp "$work"/*.png "$work"/*.pdf "$KEEP"
fi
finish
