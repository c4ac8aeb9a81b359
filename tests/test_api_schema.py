"""Whatever is sent that the OpenAPI document allows, and much that it does not, is answered as it says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from api_server import ROOT, answering

from pincite.settings import Settings
from pincite.sync import sync

pytest.importorskip("fastapi", reason="requirements-api.txt is not installed")
from pincite.api import keys

pytestmark = pytest.mark.slow
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
    "ignored_auth",
)


def test_nothing_that_is_sent_has_the_server_fail(sample: Settings, tmp_path: Path) -> None:
    key, lines = keys.make("keeper", "curate")
    (tmp_path / "pincite.toml").write_text(f"[api]\nper_second = 100_000\n{lines}\n")
    shutil.copytree(sample.corpus, tmp_path / "corpus")
    shutil.copytree(sample.index, tmp_path / "index")
    (tmp_path / "judgments").mkdir()
    judged = (ROOT / "judgments" / "answerable.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "judgments" / "few.jsonl").write_text("".join(judged[:3]), encoding="utf-8")
    sync(sample.model_copy(update={name: tmp_path / name for name in ("corpus", "index")}), move_corpus=True)
    with answering(tmp_path) as server:
        schema = server.get("/openapi.json", {"Authorization": f"Bearer {key}"})
        (tmp_path / "openapi.json").write_bytes(schema.body)
        command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", server.address]
        command += ["-H", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS), "--seed", "1"]
        command += ["--max-examples", "10", "--no-shrink", "--continue-on-failure", "--suppress-health-check", "all"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout
        assert "Tested: 16" in done.stdout
        statuses = {line["status"] for line in server.log()}
        assert {200, 202, 401, 404, 405, 409, 415, 422} <= statuses
        assert max(statuses) < 500
