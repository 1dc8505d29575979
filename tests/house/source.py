"""Reads the C sources the way the house rules speak of them."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"


def files(*suffixes):
    return sorted(p for p in SRC.rglob("*") if p.suffix in suffixes)


def layer(path):
    return path.relative_to(SRC).parts[0]


def strip(text):
    """Blanks comments, strings and character constants; keeps every line break."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def includes(path):
    """Quoted and angled includes: (line, name, quoted)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if m:
            yield number, m[2], m[1] == '"'


def functions(path):
    """(name, first line, lines) of each function: a line that begins a block at column 0."""
    lines = strip(path.read_text()).splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{" and start is None:
            head = " ".join(lines[max(0, number - 8):number - 1])
            head = head[max(head.rfind(";"), head.rfind("}")) + 1:]
            m = re.search(r"(\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$", head)
            if m:
                start = (m[1], number)
        elif line == "}" and start is not None:
            yield start[0], start[1], number - start[1] + 1
            start = None


def prototypes(path):
    """Names of the public functions that a header declares."""
    text = re.sub(r"(?m)^\s*#.*?(?<!\\)$", "", strip(path.read_text()).replace("\\\n", "  "))
    depth, out, statement = 0, [], ""
    for c in text:
        depth += c == "{"
        depth -= c == "}"
        if depth == 0:
            statement += c
            if c in ";}":
                m = re.match(r"\s*(?!typedef|struct\s+\w+\s*;|extern\b|static\b|enum\b\s*\w*\s*[;{])"
                             r"[\w\s*]*?\b(\w+)\s*\(", statement)
                if m and c == ";":
                    out.append(m[1])
                statement = ""
    return out
