"""The way of data goes one way, and each library has its room."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pincite"
HOPS = [
    "types",
    "errors",
    "durable",
    "filters",
    "background",
    "processors",
    "settings",
    "quotation",
    "reading",
    "passages",
    "embedding",
    "storage",
    "ledger",
    "facets",
    "sync",
    "operators",
    "holdings",
    "upload",
    "query",
    "relevance",
    "citation",
    "freshness",
    "suggestions",
    "candidates",
    "search",
    "profile",
    "reading_list",
    "export",
    "why",
    "doctor",
    "evaluation",
    "console",
    "integrations",
    "mcp",
    "ui",
    "api",
    "__main__",
]
"""In the order of the data: a module may import what stands before it."""
ROOMS = {
    "streamlit": ("ui/",),
    "faiss": ("storage/dense.py",),
    "tantivy": ("storage/lexical.py",),
    "pymilvus": ("storage/milvus/cluster.py",),
    "grpc": ("storage/milvus/cluster.py",),
    "sqlite3": ("storage/catalog.py",),
    "torch": ("embedding/",),
    "sentence_transformers": ("embedding/",),
    "transformers": ("embedding/",),
    "nncf": ("embedding/",),
    "openvino": ("embedding/",),
    "tokenizers": ("embedding/",),
    "altair": ("evaluation/report.py", "ui/"),
    "vl_convert": ("evaluation/report.py",),
    "ir_datasets": ("evaluation/datasets.py",),
    "mcp": ("mcp/",),
    "langchain_core": ("integrations/langchain.py",),
    "llama_index": ("integrations/llama_index.py",),
    "haystack": ("integrations/haystack.py",),
    "fastapi": ("api/",),
    "starlette": ("api/",),
    "uvicorn": ("api/", "mcp/"),
    "prometheus_client": ("api/",),
    "ray": ("sync/cluster.py",),
    "pyarrow": ("sync/cluster.py",),
}
# The recipe of an index names the model, and a question whose index is damaged has it restored.
KNOWN_TURNS: set[tuple[str, str]] = set()


def imports(file: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def hop(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "pincite" and len(parts) > 1 and parts[1] in HOPS else None


def test_every_module_has_its_place_in_the_way_of_data() -> None:
    modules = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    assert modules - {"__init__", "__pycache__"} == set(HOPS)


def test_imports_run_one_way() -> None:
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for module in imports(file):
            other = hop(module)
            if other is not None and other != own:
                assert HOPS.index(other) < HOPS.index(own), f"{file.relative_to(ROOT)} imports {module}"


def test_each_library_is_imported_in_its_own_room_only() -> None:
    for file in PACKAGE.rglob("*.py"):
        place = file.relative_to(PACKAGE).as_posix()
        for module in imports(file):
            library = module.split(".")[0]
            if library in ROOMS:
                assert place.startswith(ROOMS[library]), f"{place} imports {library}"


def test_no_html_of_documents_is_trusted_and_nothing_is_unpickled() -> None:
    for file in [*PACKAGE.rglob("*.py"), ROOT / "app.py", ROOT / "ingest.py"]:
        text = file.read_text(encoding="utf-8")
        assert "unsafe_allow_html" not in text, file
        assert not {"pickle", "marshal", "shelve", "dill"} & imports(file), file
        if "unsafe_allow_javascript" in text:
            for call in ast.walk(ast.parse(text)):
                if isinstance(call, ast.Call) and any(k.arg == "unsafe_allow_javascript" for k in call.keywords):
                    assert isinstance(call.args[0], ast.Name), f"{file}: a script is a constant"
                    assert call.args[0].id.isupper(), f"{file}: a script is a constant"
