"""The house rules: what may include what, sizes, banned calls, homes of third-party names."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from source import ROOT, SRC, files, functions, includes, layer, prototypes, strip

# A layer may include itself and what stands here; more than a folder is named by file.
ALLOWED = {
    "base": [],
    "record": ["base"],
    "profile": ["base", "record/driver.h", "record/limit.h", "record/metrics.h"],
    "ident": ["base", "profile/plan.h"],
    "net": ["base", "ident", "record/outcome.h", "profile/plan.h"],
    "probe": ["base", "net", "profile/plan.h", "record/reading.h"],
    "load": ["base", "profile/plan.h", "ident", "net", "record", "probe"],
    "judge": ["base", "record", "profile/plan.h"],
    "report": ["base", "record", "judge"],
    "demo": ["base", "ident", "net/tls.h", "record/driver.h", "profile/plan.h"],
    "cmd": ["base", "record", "profile", "ident", "net", "probe", "load", "judge", "report", "demo"],
    "main.c": ["cmd"],
}

# Each third-party library has one home, so that replacing it is a change of one place.
HOMES = {
    r"openssl/": r"(net/(tls|trust)\w*\.[ch]|ident/\w+\.[ch]|demo/\w+\.[ch])$",
    r"ev\.h$": r"(net/\w+\.[ch]|load/\w+\.[ch]|demo/\w+\.[ch])$",
    r"nghttp2": r"(net/h2|demo/)\w*\.[ch]$",
    r"llhttp": r"(net/h1|demo/)\w*\.[ch]$",
    r"^ini\.h$": r"profile/ini\.c$",
    r"^ares": r"net/addr\.c$",
    r"^zlib": r"record/hlog\w*\.c$",
    r"jansson": r"base/json\.c$",
}

BANNED = {
    r"\b(strcpy|strcat|stpcpy|sprintf|vsprintf|gets)\s*\(": "unbounded copies",
    r"\b(atoi|atol|atoll|atof|sscanf|strtok)\s*\(": "parsers that cannot say no",
    r"(?<![\w.>])time\s*\(": "the wall clock: base/mono.h",
    r"\b(rand|srand|random|drand48)\s*\(": "randomness without a seed: base/rng.h",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "notes to oneself",
}
BANNED_BUT = {
    r"(?<![\w_])(exit)\s*\(": ("cmd",),
    r"(?<![\w])(printf|puts|putchar)\s*\(": ("cmd", "report", "demo"),
    r"(?<![\w])(malloc|calloc|realloc|strdup|strndup|asprintf)\s*\(": ("base/mem.c",),
}
# strtol and friends need errno and end pointer: only where a wrapper checks both.
STRTOL_HOMES = ("base/str.c", "probe/", "cmd/doctor_net.c")

PUBLIC_FUNCTIONS = 8
PUBLIC_FUNCTIONS_WITH_REASON = 12


def relative(path):
    return str(path.relative_to(SRC))


def test_includes_keep_to_the_layers():
    wrong = []
    for path in files(".c", ".h"):
        mine = layer(path)
        for number, name, quoted in includes(path):
            if not quoted or name == "embedded.h":
                continue
            theirs = name.split("/")[0]
            if theirs != mine and not any(a in (theirs, name) for a in ALLOWED[mine]):
                wrong.append(f"{relative(path)}:{number}: {mine} may not include {name}")
    assert not wrong, "\n".join(wrong)


def test_third_party_names_stay_at_home():
    wrong = []
    for path in files(".c", ".h"):
        for number, name, _ in includes(path):
            for library, home in HOMES.items():
                if re.search(library, name) and not re.search(home, relative(path)):
                    wrong.append(f"{relative(path)}:{number}: {name}")
    assert not wrong, "\n".join(wrong)


def include_depth(path, seen=()):
    inner = [SRC / name for _, name, quoted in includes(path) if quoted and (SRC / name).exists()]
    assert path not in seen, f"include cycle at {path}"
    return max((1 + include_depth(p, (*seen, path)) for p in inner), default=0)


def test_include_depth():
    deep = [f"{relative(p)}: {include_depth(p)}" for p in files(".h") if include_depth(p) > 5]
    assert not deep, "\n".join(deep)


def test_every_header_compiles_alone():
    flags = subprocess.run(["pkg-config", "--cflags", "jansson", "zlib", "libcares"], check=True,
                           capture_output=True, text=True).stdout.split()
    command = ["cc", "-std=gnu17", "-D_GNU_SOURCE", f"-I{SRC}", "-I/usr/include/android", *flags,
               "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-"]
    text = ""
    for header in files(".h"):
        source = f'#include "{relative(header)}"\n#include "{relative(header)}"\n'
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        text += done.stderr
    assert not text, text


def test_function_sizes():
    sizes = [(n, f"{relative(p)}:{line}: {name} has {n} lines")
             for p in files(".c") for name, line, n in functions(p)]
    assert len(sizes) > 300, "the function finder is broken"
    too_long = [text for n, text in sizes if n > 80]
    assert not too_long, "\n".join(too_long)
    lengths = sorted(n for n, _ in sizes)
    assert lengths[int(0.95 * len(lengths))] <= 50


def test_file_sizes():
    long = [f"{relative(p)}: {n}" for p in files(".c")
            if (n := len(p.read_text().splitlines())) > 600]
    assert not long, "\n".join(long)


def test_headers_are_small():
    big = []
    for header in files(".h"):
        n = len(prototypes(header))
        limit = PUBLIC_FUNCTIONS
        if re.search(r"more[\s*]+than[\s*]+eight[\s*]+functions", header.read_text(), re.I):
            limit = PUBLIC_FUNCTIONS_WITH_REASON
        if n > limit:
            big.append(f"{relative(header)}: {n} public functions, {limit} allowed")
    assert not big, "\n".join(big)


def test_headers_open_with_their_story():
    silent = [relative(h) for h in files(".h") if not h.read_text().startswith("/* ")]
    assert not silent, silent


def test_names_are_resolved_by_the_policy():
    """So that nothing is dialled that the target policy has not judged."""
    wrong = [relative(p) for p in files(".c") if "addr_resolve(" in strip(p.read_text())
             and relative(p) not in ("net/addr.c", "net/policy.c")]
    assert not wrong, wrong


def test_banned_calls():
    wrong = []
    for path in files(".c", ".h"):
        where = relative(path)
        for number, line in enumerate(strip(path.read_text()).splitlines(), 1):
            for pattern, why in BANNED.items():
                if re.search(pattern, line):
                    wrong.append(f"{where}:{number}: {why}: {line.strip()}")
            for pattern, homes in BANNED_BUT.items():
                if re.search(pattern, line) and not where.startswith(homes):
                    wrong.append(f"{where}:{number}: not here: {line.strip()}")
            if re.search(r"\bstrto(l|ul|ll|ull|d)\s*\(", line) and not where.startswith(STRTOL_HOMES):
                wrong.append(f"{where}:{number}: use base/str.h: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_lines_fit():
    long = [f"{relative(p)}:{n}" for p in files(".c", ".h")
            for n, line in enumerate(p.read_text().splitlines(), 1) if len(line) > 100]
    assert not long, "\n".join(long)


def test_no_typedefs_but_for_functions():
    wrong = [f"{relative(p)}: {m[0]}" for p in files(".h")
             for m in re.finditer(r"(?m)^typedef\b[^;]*;", strip(p.read_text())) if "(" not in m[0]]
    assert not wrong, "\n".join(wrong)


def test_no_exported_mutable_variables():
    build = pathlib.Path(os.environ["CMAKE_BINARY_DIR"])
    wrong = []
    for library in sorted(build.glob("libtlsoak_*.a")):
        table = subprocess.run(["objdump", "-t", str(library)], capture_output=True, text=True,
                               check=True).stdout
        # "VALUE g O SECTION SIZE NAME"; .data.rel.ro is constant once the program is loaded
        wrong += [f"{library.name}: {s[-1]}" for line in table.splitlines()
                  if len(s := line.split()) == 6 and s[1] == "g" and s[2] == "O"
                  and not s[-1].startswith("__")
                  and re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)|\*COM\*", s[3])]
    assert not wrong, "\n".join(wrong)


def test_no_other_tls_library_is_linked():
    binary = pathlib.Path(os.environ["CMAKE_BINARY_DIR"]) / "tlsoak"
    loaded = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    assert "libssl" in loaded or "libev" in loaded
    assert not re.search(r"libssl\.so\.[1-9]|libcrypto\.so\.[1-9]|libgnutls", loaded), loaded


def test_format():
    if shutil.which("clang-format") is None:
        pytest.skip("clang-format is not installed")
    sources = [str(p) for p in files(".c", ".h")] + [
        str(p) for p in sorted((ROOT / "tests").rglob("*.[ch]"))]
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *sources], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[:3000]
