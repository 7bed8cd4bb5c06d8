"""The layout: who imports whom, how long things are, and what stays out of the native core."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastparadime"
CSRC = ROOT / "csrc"

# From the top: a module may import from the rows below its own, and from its own package.
LAYERS = (
    {"cli", "engines"},
    {"estimators", "plot"},
    {"routines"},
    {"dr"},
    {"training"},
    {"loss"},
    {"relations", "models"},
    {"transforms"},
    {"layout"},
    {"graph"},
    {"neighbors", "relationdata"},
    {"ops", "distributed"},
    {"utils"},
    {"types", "exceptions"},
)
LEVEL = {name: -depth for depth, row in enumerate(LAYERS) for name in row}
SPECIAL = {"__init__", "__main__"}  # outside the rows: the faces of the package


def sources(folder: str, *patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in (ROOT / folder).rglob(pattern)]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def part_of(path: Path) -> str:
    """The module or package directly within fastparadime that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of fastparadime that a file imports, wherever in the file, as '_core' or 'ops'."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    within = [name.split(".") for name in names if name.split(".")[0] == "fastparadime"]
    return {name[1] if len(name) > 1 else "__init__" for name in within}


MODULES = sources("fastparadime", "*.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    imports = imported_parts(path) - {part}
    if part == "ops":
        imports -= {"_core"}
    assert "_core" not in imports, "only fastparadime.ops imports _core"
    if part in SPECIAL:
        allowed = {"__init__": {"cli", "estimators", "utils"}}
        assert imports <= allowed.get(part, set(LEVEL)), f"{part} imports {sorted(imports)}"
        return
    assert part in LEVEL, f"{part} has no place among the layers"
    assert imports - {"__init__"} <= set(LEVEL) | SPECIAL, f"{part} imports what has no place"
    for name in sorted(imports - {"__init__"}):
        assert LEVEL.get(name, 1) < LEVEL[part], f"{part} imports {name}"


def imported_names(path: Path) -> set[str]:
    """Full names of what a file imports from the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("fastparadime")}


def test_reference_stands_alone() -> None:
    """The oracle of the tests: nothing builds on it, and it builds on no operation."""
    oracle = "fastparadime.ops.reference"
    for path in MODULES:
        found = {name.startswith(oracle) for name in imported_names(path)}
        if PACKAGE / "ops" / "reference" in path.parents:
            assert False not in found, f"{path.name} imports an operation"
        else:
            assert True not in found, f"{path.name} imports the oracle"


def test_layers_are_real_modules() -> None:
    present = {part_of(path) for path in MODULES}
    assert present - SPECIAL <= set(LEVEL)
    assert set(LEVEL) <= present


LIMITED = [
    *sources("csrc", "*.h", "*.cpp", "*.cu", "*.cuh"),
    *sources("fastparadime", "*.py", "*.pyi"),
    *sources("tests", "*.py"),
    *sources("bench", "*.py"),
]


def test_files_are_at_most_400_lines() -> None:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in LIMITED}
    assert len(counts) > 50
    assert {str(path.relative_to(ROOT)): n for path, n in counts.items() if n > 400} == {}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the signature to the end, the docstring left out."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_functions_are_at_most_60_lines() -> None:
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and code_lines(node) > 60:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = code_lines(node)
    assert long == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_made_on_demand_is_made_once(path: Path) -> None:
    """By several threads that ask at once too, which functools' property does not promise."""
    words = re.findall(r"\w+", path.read_text(encoding="utf-8"))
    used = "cached_property" in words and path.name != "lazy.py"  # which says why not
    assert not used, "use fastparadime.utils.lazy.lazy_property"


NATIVE = sources("csrc", "*.h", "*.cpp", "*.cu", "*.cuh")


def includes(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, flags=re.MULTILINE)


def without_comments(path: Path) -> str:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: str(path.relative_to(CSRC)))
def test_native_includes(path: Path) -> None:
    folder = path.relative_to(CSRC).parts[0]
    names = includes(path)
    assert not [name for name in names if re.match(r"(torch|ATen|c10)/", name)]
    if folder != "bindings":
        assert not [name for name in names if name.startswith("pybind11")]
    allowed = {
        "math": {"math"},
        "ops": {"math", "ops"},
        "cpu": {"math", "ops", "cpu"},
        "cuda": {"math", "ops", "cuda"},
        "dispatch.h": {"ops"},
        "bindings": {"ops", "dispatch.h", "bindings"},
    }[folder]
    own = re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [name for name in own if not (CSRC / name).is_file()] == []
    local = {name.split("/")[0] for name in own}
    assert local <= allowed, f"{path.name} includes from {sorted(local - allowed)}"


STAGES = {"neighbors", "graph", "training", "layout"}


def test_stages_meet_in_support_alone() -> None:
    """An operation builds on its own stage and on what all share."""
    for path in NATIVE:
        stage = path.parent.name
        if stage in STAGES:
            found = {name.split("/")[1] for name in includes(path) if (CSRC / name).is_file()}
            assert found <= {stage, "support"}, f"{path.name} includes from {sorted(found)}"


def test_threads_are_started_in_one_place() -> None:
    starters = re.compile(r"std::(thread|jthread|async)\b|pthread_create|#\s*pragma\s+omp")
    found = {path.name for path in NATIVE if starters.search(without_comments(path))}
    assert found <= {"parallel.h", "parallel.cpp"}
    assert found


def test_cuda_is_switched_in_one_place() -> None:
    condition = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*FPD_WITH_CUDA", re.MULTILINE)
    found = {path.name for path in NATIVE if condition.search(without_comments(path))}
    assert found <= {"dispatch.h"}


OPERATIONS = [
    f"{path.parent.name}/{path.stem}"
    for path in sorted((CSRC / "ops").rglob("*.h"))
    if path.parent.name in STAGES  # others are shared, or parts of one
]

# A GPU searches exactly, by tiles of matrix products, where the CPU descends, goes down trees or takes products
# beside its lists and has groups for its many clusters; counts of bits take the CPU seconds; sparse rows are SciPy's; its steps are
# those of edge_step, or torch's.
CPU_ONLY = {
    "nn_descent", "nearest_by_products", "nearest_in_clusters", "nearest_binary", "kd_tree",
    "sparse_rows", "mlp", "adam", "metric_layout", "join_lists", "components", "nearest_in_groups",
}  # fmt: skip


# Beside other engines in bench_tree, and as parts of the step in bench_step.
TIMED_ELSEWHERE = {"kd_tree", "mlp", "adam"}
# Both fill the lists of one class.
MODULE_OF = {"nearest_by_cosines": "nearest_in_tile"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_complete(name: str) -> None:
    """Its files lie in the same stage of every folder, under the same name."""
    stage, operation = name.split("/")
    parts = [
        CSRC / "cpu" / stage / f"{operation}.cpp",
        PACKAGE / "ops" / stage / f"{MODULE_OF.get(operation, operation)}.py",
        ROOT / "tests" / "ops" / stage / f"test_{operation}.py",
    ]
    if operation not in TIMED_ELSEWHERE:
        parts.append(ROOT / "bench" / stage / f"bench_{operation}.py")
    if operation not in CPU_ONLY:
        parts.append(CSRC / "cuda" / stage / f"{operation}.cu")
    assert [str(path.relative_to(ROOT)) for path in parts if not path.is_file()] == []


def test_every_source_is_built() -> None:
    lists = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("CMakeLists.txt", "cmake/cuda.cmake")
    ]
    listed = re.findall(r"csrc/\S+\.(?:cpp|cu)\b", "".join(lists))
    assert sorted(listed) == [
        path.relative_to(ROOT).as_posix() for path in sources("csrc", "*.cpp", "*.cu")
    ]


def test_python_without_wildcards_or_mutable_defaults() -> None:
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
                found.append(f"{path.name}:{node.lineno} imports *")
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                if any(isinstance(value, (ast.List, ast.Dict, ast.Set)) for value in defaults):
                    found.append(f"{path.name}:{node.lineno} has a mutable default")
    assert found == []


def test_few_names_at_the_top() -> None:
    """Eighteen rooms, each a stage of the flow or a face, and paraDime's types and exceptions."""
    names = {part_of(path) for path in MODULES} - SPECIAL
    assert {"types", "exceptions"} < names
    assert len(names) <= 20


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sources("fastparadime", "*.py", "*.pyi")}


def imported_files(path: Path) -> set[str]:
    """The files of the package that a file imports: at the top, in functions and for types alone.

    A name from a package's face is an import of that face, and so of all that it offers. That
    Python runs the face of a package before any of its modules is not counted.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in names}
    return found & set(FILES)


def reached(graph: dict[str, set[str]], start: str) -> set[str]:
    """What a file imports, directly or through others."""
    seen: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()] - seen
        seen |= new
        left += new
    return seen


def test_no_circle_of_files() -> None:
    graph = {name: imported_files(path) for name, path in FILES.items()}
    assert sum(map(len, graph.values())) > 300
    assert sorted(name for name in graph if name in reached(graph, name)) == []


def test_a_circle_of_files_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert [name for name in graph if name in reached(graph, name)] == ["b", "c"]
