"""Every command that docs/ shows is run by a test, or needs what no test can have: the table says which."""

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT

CHART = "unit/test_chart::"
HELD: dict[str, str] = {
    "python -m worker --processes auto": "acceptance/test_worker_processes",
    "WORKER_PROCESSES=4 make run": "acceptance/test_worker_processes",
    "make env": "unit/app/cli/test_env_file::the_command_says_names_and_the_key_once",
    "python -m ingest --reembed": "integration/ingest/test_reembed",
    'curl -s -H "Authorization: Bearer $KEY" \'http://127.0.0.1:8000/usage': (
        "integration/app/test_usage::rows_are_by_day_tenant_and_model_with_what_they_cost"
    ),
    "python -m benchmarks.answers": "acceptance/test_answers_benchmark",
    "cat questions.jsonl": "acceptance/test_answers_benchmark",
    "export API_KEY=": "acceptance/test_answers_benchmark",
    'curl -s -X POST -H "Authorization: Bearer $KEY"': "integration/app/test_failed_jobs",
    "python -m app backup": "acceptance/test_backup::all_is_back_after_data_dir_was_deleted",
    "python -m app restore": "acceptance/test_backup::all_is_back_after_data_dir_was_deleted",
    "python -m app key": "acceptance/test_credentials::a_service_with_keys_answers_those_who_show_one",
    "helm install rag-queue": f"{CHART}every_object_is_what_kubernetes_expects",
    "helm upgrade rag-queue": f"{CHART}every_object_is_what_kubernetes_expects",
    "python -m ingest export": (
        "integration/ingest/test_move::an_index_moves_with_vectors_files_and_titles_and_nothing_is_embedded"
    ),
    "python -m ingest import": (
        "integration/ingest/test_move::an_index_moves_with_vectors_files_and_titles_and_nothing_is_embedded"
    ),
    "python -m ingest --watch handbook/": (
        "integration/ingest/test_watch::the_command_goes_on_until_it_is_told_to_end"
    ),
    "python -m ingest --watch s3://": "acceptance/test_s3::a_folder_in_the_store_is_watched",
    "curl https://rag.example.com/chat": "acceptance/edge/test_passing",
    "python -m benchmarks.simulate": "unit/test_simulation::the_page_shows_what_the_simulation_prints",
}
"""How a command begins, and the test that runs it; or the file, where many do."""

NOT_HERE = {
    "docker": "no container engine where the tests run; what it names is held by unit/test_deployment",
    "kubectl": "no cluster where the tests run",
    "helm install valkey": "another project's chart, which the tests cannot fetch",
    "helm install qdrant": "another project's chart, which the tests cannot fetch",
    "certbot": "a certificate authority's own",
    "cat /srv/rag/renewed": "shows a file",
    "mkdir ": "the shell's own",
    "openssl ": "not ours",
}
"""What no test runs, and why."""

COMMANDS = sorted(
    {
        line[2:].strip()
        for path in (ROOT / "docs").rglob("*.md")
        if path.name != "tutorial.md"  # which acceptance/test_tutorial runs as a whole
        for block in re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL)
        for line in block.splitlines()
        if re.match(r"[$#] \S", line)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_run_by_a_test_or_cannot_be(command: str) -> None:
    assert [part for part in (*HELD, *NOT_HERE) if command.startswith(part)], "write a test that runs it"


@pytest.mark.parametrize("part", [*HELD, *NOT_HERE])
def test_what_is_said_of_a_command_is_of_one_that_is_shown(part: str) -> None:
    assert [command for command in COMMANDS if command.startswith(part)]


@pytest.mark.parametrize("name", sorted(set(HELD.values())))
def test_what_runs_a_command_exists(name: str) -> None:
    path, _, test = name.partition("::")
    source = (Path(ROOT / "tests") / f"{path}.py").read_text()
    names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert not test or f"test_{test}" in names
