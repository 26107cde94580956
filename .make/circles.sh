#!/usr/bin/env bash
# Import circles: prints every group of files, within one crate, whose imports lead back to where they began.
. "$(dirname "$0")/lib.sh"

say "Checking for import circles"
python3 - app/src frontend/src server/src server/*/src <<'PY' || die "Files import each other in a circle: move what they share into a file of its own."
"""Edges between files: `use` and inline paths that begin with crate::, super:: or the name of a child module.

Three kinds of edges do not count: those in #[cfg(test)], re-exports (an import through one leads to the file that
defines the item), and a child's imports from its direct parent (a folder's mod.rs may define what its files share).
"""
import pathlib
import re
import sys

DEFINITION = r"\b(?:fn|struct|enum|trait|type|const|static|union|macro_rules!)\s+%s\b"


def without_noise(text):
    """Drops comments, string contents and test items."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r'r#"(?:.|\n)*?"#|"(?:\\.|[^"\\])*"', '""', text)
    while test := re.search(r"#\[cfg\(test\)\]", text):
        at = re.compile(r"[;{]").search(text, test.end())
        end = at.end() if at else len(text)
        depth = 1 if at and at.group() == "{" else 0
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[: test.start()] + text[end:]
    return text


def leaves(tree, prefix=()):
    """Paths of a use tree, as (path, name it is known by)."""
    tree = tree.strip()
    before, brace, inner = tree.partition("{")
    if brace:
        path = prefix + tuple(part.strip() for part in before.split("::") if part.strip())
        depth, start, inner = 0, 0, inner.rstrip()[:-1]
        for at, char in enumerate(inner + ","):
            depth += {"{": 1, "}": -1}.get(char, 0)
            if char == "," and depth == 0:
                if inner[start:at].strip():
                    yield from leaves(inner[start:at], path)
                start = at + 1
        return
    path, _, alias = tree.partition(" as ")
    path = prefix + tuple(part.strip() for part in path.split("::"))
    if path[-1] == "self":
        path = path[:-1]
    yield path, alias.strip() or path[-1]


class Crate:
    def __init__(self, root):
        self.files, self.text, self.uses = {}, {}, {}
        for file in sorted(root.rglob("*.rs")):
            if file == root / "main.rs" and (root / "lib.rs").exists():
                continue
            parts = file.relative_to(root).with_suffix("").parts
            module = parts[:-1] if parts[-1] in ("lib", "main", "mod") else parts
            self.files[module] = file
            self.text[module] = without_noise(file.read_text())
        for module, text in self.text.items():
            found = re.finditer(r"(\bpub\s*(?:\([^)]*\))?\s+)?\buse\s+([^;]+);", text)
            self.uses[module] = [(bool(use[1]), *leaf) for use in found for leaf in leaves(use[2])]

    def absolute(self, module, path):
        """The path from the crate's root, or None outside of the crate."""
        if path[0] == "crate":
            return path[1:]
        if path[0] in ("self", "super"):
            for part in path:
                if part == "super":
                    module = module[:-1]
                elif part != "self":
                    break
            return module + tuple(part for part in path if part not in ("self", "super"))
        return module + path if module + path[:1] in self.files else None

    def target(self, path, seen=()):
        """The module that defines what a path names."""
        module = ()
        while len(module) < len(path) and path[: len(module) + 1] in self.files:
            module = path[: len(module) + 1]
        rest = path[len(module) :]
        if not rest or (module, rest[0]) in seen or re.search(DEFINITION % re.escape(rest[0]), self.text[module]):
            return module
        seen += ((module, rest[0]),)
        for public, leaf, name in self.uses[module]:
            if not public or name not in (rest[0], "*"):
                continue
            inner = self.absolute(module, leaf)
            if inner is not None and name == "*":
                found = self.target(inner[:-1] + rest[:1], seen)
                if re.search(DEFINITION % re.escape(rest[0]), self.text[found]):
                    return found
            elif inner is not None:
                return self.target(inner + rest[1:], seen)
        return module

    def edges(self, module):
        text = self.text[module]
        paths = [leaf for public, leaf, _ in self.uses[module] if not public]
        body = re.sub(r"\buse\s+[^;]+;", " ", text)
        paths += [tuple(path.split("::")) for path in re.findall(r"(?<![\w:])(?:\w+::)+\w+", body)]
        for path in paths:
            path = self.absolute(module, path)
            target = None if path is None else self.target(tuple(part for part in path if part != "*"))
            if target is not None and target not in (module, module[:-1]):
                yield target

    def circles(self):
        graph = {module: set(self.edges(module)) for module in self.files}
        reach = {}
        for start in graph:
            found, todo = set(), list(graph[start])
            while todo:
                at = todo.pop()
                if at not in found:
                    found.add(at)
                    todo += graph[at]
            reach[start] = found
        done = set()
        for start in graph:
            if start in done or start not in reach[start]:
                continue
            circle = [at for at in graph if at in reach[start] and start in reach[at]]
            done.update(circle)
            yield [(at, sorted(graph[at] & set(circle))) for at in circle]


broken = False
for root in map(pathlib.Path, sys.argv[1:]):
    crate = Crate(root)
    for circle in crate.circles():
        broken = True
        print(f"{root}: {len(circle)} files")
        for at, targets in circle:
            print(f"  {crate.files[at]} -> {', '.join(str(crate.files[target]) for target in targets)}")
sys.exit(broken)
PY
