# SPDX-License-Identifier: MIT
#
# man3.awk: the functions' manual pages from the header's comments.
#
#	awk -v folder=OUT -v date=YYYY-MM-DD -f man3.awk reclaim.h
#
# The header is taken as it is written: the comment at its top becomes reclaim.3; each part under a
# heading ("---- Title ---") becomes a page named after its first function, and the other functions
# of the part become pages that lead to it. Within a part a comment belongs to what is declared
# after it, up to the next comment. Paragraphs run together; lines that begin with a tab are left as
# they are, and so are declarations of types.

# ---- text -----------------------------------------------------------------------------------

function plain(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	gsub(/'/, "\\(aq", s)
	sub(/^\./, "\\\\\\&.", s)
	return s
}
# Functions of ours stand out.
function prose(s) {
	s = plain(s)
	gsub(/rcl_[a-z_]+\(\)/, "\\fB&\\fR", s)
	return s
}
function upper_head(s) { return match(s, /^[A-Z][A-Z ]*[A-Z]\. /) }

# A comment (lines joined by \n, without its frame) as paragraphs. Returns roff, with a final \n.
# gap: what separates paragraphs (.PP, or .IP inside of a list).
function paragraphs(s, gap,    n, i, lines, out, literal, fresh, l, enter, leave) {
	n = split(s, lines, "\n")
	literal = fresh = 0
	enter = gap == ".PP" ? ".RS 4\n.EX\n" : ".EX\n"
	leave = gap == ".PP" ? ".EE\n.RE\n" : ".EE\n"
	for (i = 1; i <= n; i++) {
		l = lines[i]
		if (l == "") {
			if (literal) {
				out = out leave
				literal = 0
			}
			fresh = out != ""
			continue
		}
		if (substr(l, 1, 1) == "\t") {
			if (!literal) {
				if (fresh)
					out = out gap "\n"
				out = out enter
			}
			literal = 1
			out = out plain(columns(substr(l, 2))) "\n"
			fresh = 0
			continue
		}
		if (literal) {
			out = out leave
			literal = 0
			fresh = 1
		}
		if (upper_head(l) && gap == ".PP") {
			out = out ".SS " substr(l, 1, 1) tolower(substr(l, 2, RLENGTH - 3)) "\n"
			l = substr(l, RLENGTH + 1)
		} else if (fresh)
			out = out gap "\n"
		fresh = 0
		out = out prose(l) "\n"
	}
	return out (literal ? leave : "")
}

# Tabs as spaces, eight columns each.
function columns(s,    out, i, c) {
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c != "\t") {
			out = out c
			continue
		}
		do
			out = out " "
		while (length(out) % 8)
	}
	return out
}

# A prototype in one line -> bold, with the parameters' names in italics, broken to fit.
function prototype(s,    head, args, n, i, list, line, out, indent, a, name, type, shown) {
	i = index(s, "(")
	head = substr(s, 1, i)
	args = substr(s, i + 1)
	sub(/\);$/, "", args)
	n = split(args, list, /, */)
	indent = sprintf("%" length(head) "s", "")
	if (length(head) > 44)
		indent = "        "
	line = head
	shown = "\\fB" plain(head)
	for (i = 1; i <= n; i++) {
		a = list[i]
		name = ""
		type = a
		if (a != "void" && match(a, /[A-Za-z_]+$/)) {
			name = substr(a, RSTART)
			type = substr(a, 1, RSTART - 1)
		}
		if (i > 1 && length(line) + length(a) > 72) {
			out = out shown "\\fR\n"
			line = indent
			shown = indent "\\fB"
		}
		line = line a ", "
		shown = shown plain(type)
		if (name != "")
			shown = shown "\\fI" plain(name) "\\fB"
		shown = shown (i < n ? ", " : ");")
	}
	return out shown "\\fR\n"
}

function function_name(s) {
	if (!match(s, /rcl_[a-z_]+\(/))
		return ""
	return substr(s, RSTART, RLENGTH - 1)
}

# ---- reading --------------------------------------------------------------------------------

function fail(why) {
	print "man3.awk: " FILENAME ":" FNR ": " why > "/dev/stderr"
	failed = 1
	exit 1
}

# What has been read of a comment and its declarations becomes part of the section.
function flush(    i) {
	if (!section) {
		if (comment != "" && overview == "" && comment !~ /^SPDX/)
			overview = comment
		comment = ""
		return
	}
	if (nr_fn) {
		item = ".TP"
		for (i = 1; i <= nr_fn; i++)
			item = item (i > 1 ? "\n.TQ" : "") "\n.BR " fn[i] " ()"
		text[section] = text[section] item "\n" paragraphs(comment, ".IP")
	} else if (types == "" && comment != "")
		intro[section] = intro[section] (intro[section] == "" ? "" : ".PP\n") \
			paragraphs(comment, ".PP")
	if (types != "")
		decl[section] = decl[section] (decl[section] == "" ? "" : ".PP\n") \
			(nr_fn || comment == "" ? "" : paragraphs(comment, ".PP") ".PP\n") \
			".EX\n" types ".EE\n"
	comment = types = ""
	nr_fn = 0
}

{ sub(/[ \t]+$/, "") }

in_comment {
	line = $0
	if (line ~ /\*\/$/) {
		in_comment = 0
		sub(/ *\*\/$/, "", line)
		sub(/^ \*?/, "", line)
		if (line == "")
			next
	} else
		sub(/^ \*/, "", line)
	sub(/^ /, "", line)
	comment = comment (comment == "" ? "" : "\n") line
	next
}
in_type {
	line = columns($0)
	sub(/ +\\$/, " \\", line)
	types = types plain(line) "\n"
	if (/^};?$/ || (in_type == "macro" && !/\\$/)) {
		in_type = ""
	}
	next
}
in_function {
	line = $0
	sub(/^[ \t]+/, "", line)
	declaration = declaration " " line
	if (/;$/)
		end_function()
	next
}

/^\/\* ---- / {
	flush()
	title = $0
	sub(/^\/\* ---- /, "", title)
	sub(/ -+ \*\/$/, "", title)
	section++
	titles[section] = title
	next
}
/^\/\*/ {
	flush()
	if (/\*\/$/) {
		comment = $0
		sub(/^\/\* */, "", comment)
		sub(/ *\*\/$/, "", comment)
	} else {
		in_comment = 1
		line = $0
		sub(/^\/\*+ */, "", line)
		comment = line
	}
	next
}
/^#define RCL_VERSION_/ { version = version (version == "" ? "" : ".") $3 }
!section && /^#define RCL_(PAGE|UNLIMITED|MIN|MAX)/ { constants = constants plain(columns($0)) "\n" }
!section { next }
/^#define/ {
	line = columns($0)
	sub(/ +\\$/, " \\", line)
	types = types plain(line) "\n"
	if (/\\$/)
		in_type = "macro"
	next
}
/^(enum|struct) [a-z_]+ {$/ {
	types = types plain(columns($0)) "\n"
	in_type = "braces"
	next
}
/^RCL_(API|MUST_CHECK) / {
	declaration = $0
	in_function = 1
	if (/;$/)
		end_function()
	next
}
/^#(ifdef|endif)/ || /^}?$/ { next }
{ fail("what is this: " $0) }

function end_function(    name) {
	in_function = 0
	gsub(/RCL_API |RCL_MUST_CHECK /, "", declaration)
	name = function_name(declaration)
	if (name == "")
		fail("a function without a name: " declaration)
	fn[++nr_fn] = name
	names[section] = names[section] (names[section] == "" ? "" : " ") name
	synopsis[section] = synopsis[section] prototype(declaration)
}

# ---- writing --------------------------------------------------------------------------------

function head(file, name) {
	printf ".\\\" Made from reclaim.h; do not edit.\n.TH %s 3 \"%s\" \"libreclaim %s\" " \
		"\"Library Functions Manual\"\n.SH NAME\n", toupper(name), date, version > file
}

function see_also(file, but,    s, first) {
	print ".SH SEE ALSO" > file
	if (but)
		print ".BR reclaim (3)," > file
	else
		first = 1
	for (s = 1; s <= section; s++)
		if (s != but && page[s] != "")
			print ".BR " page[s] " (3)," > file
	print ".BR reclaim (1)" > file
}

END {
	if (failed)
		exit 1
	flush()
	for (s = 1; s <= section; s++) {
		n = split(names[s], list, " ")
		page[s] = list[1]
	}
	for (s = 1; s <= section; s++) {
		if (page[s] == "")
			continue
		file = folder "/" page[s] ".3"
		n = split(names[s], list, " ")
		head(file, page[s])
		for (i = 1; i <= n; i++)
			printf "%s%s", list[i], i < n ? ",\n" : " \\- " > file
		printf "%s (libreclaim)\n.SH SYNOPSIS\n.nf\n.B #include <reclaim/reclaim.h>\n.PP\n%s.fi\n", \
			tolower(titles[s]), synopsis[s] > file
		print ".PP\nLink with \\fI\\-lreclaim\\fR." > file
		printf ".SH DESCRIPTION\n%s%s", intro[s], text[s] > file
		if (decl[s] != "")
			printf ".SH TYPES\n%s", decl[s] > file
		print ".SH ERRORS\nThe errors have one meaning in all functions; see\n" \
			".BR reclaim (3)\nand\n.BR rcl_strerror (3)." > file
		see_also(file, s)
		close(file)
		for (i = 2; i <= n; i++) {
			file = folder "/" list[i] ".3"
			print ".so man3/" page[s] ".3" > file
			close(file)
		}
	}
	if (overview == "" || !section)
		fail("no comment at the top, or no parts")
	file = folder "/reclaim.3"
	head(file, "reclaim")
	summary = overview
	sub(/^reclaim: /, "", summary)
	sub(/[.,:].*/, "", summary)
	gsub(/\n/, " ", summary)
	print "reclaim \\- " plain(summary) > file
	print ".SH SYNOPSIS\n.B #include <reclaim/reclaim.h>\n.PP\nLink with \\fI\\-lreclaim\\fR." > file
	printf ".SH DESCRIPTION\n%s", paragraphs(overview, ".PP") > file
	if (constants != "")
		printf ".SH CONSTANTS\n.EX\n%s.EE\n", constants > file
	print ".SH FUNCTIONS" > file
	for (s = 1; s <= section; s++) {
		print ".TP\n" titles[s] > file
		n = split(names[s], list, " ")
		for (i = 1; i <= n; i++)
			print ".BR " list[i] " (3)" (i < n ? "," : "") > file
	}
	see_also(file, 0)
	close(file)
}
