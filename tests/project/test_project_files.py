"""What several files of the project state must agree."""

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_cache import __version__

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == __version__
    assert {name: citation[name] for name in ("license", "keywords", "authors")}.items() <= PYPROJECT["project"].items()
    assert len(citation["references"][0]["authors"]) == 7


def test_the_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert __version__ in sections or f"What will be {__version__}" in text


def test_a_release_takes_its_part_of_the_changelog(tmp_path: Path) -> None:
    steps = read(".github/workflows/release.yml")["jobs"]["build"]["steps"]
    (script,) = (step["run"] for step in steps if "CHANGELOG.md" in step.get("run", ""))
    (tmp_path / "data_cache").mkdir()
    (tmp_path / "data_cache/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    log = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2027-01-02\n\n- new\n\n## [1.1.0]\n\n- old\n"
    (tmp_path / "CHANGELOG.md").write_text(log)
    for tag, code in (("v1.2.0", 0), ("v1.1.0", 1)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        assert subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=environment).returncode == code
        if code == 0:
            assert (tmp_path / "notes.md").read_text().split() == ["-", "new"]


def test_every_declared_python_and_system_is_tested() -> None:
    classifiers = PYPROJECT["project"]["classifiers"]
    declared = [line.rpartition(" ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    matrix = read(".github/workflows/ci.yml")["jobs"]["newest"]["strategy"]["matrix"]
    assert declared and matrix["python"] == declared
    systems = {"Linux": "ubuntu-latest", "MacOS": "macos-latest", "Windows": "windows-latest"}
    named = [line.rpartition(" ")[2] for line in classifiers if line.startswith("Operating System")]
    assert {systems[name] for name in named} == set(matrix["system"]) == set(systems.values())


def test_commit_hooks_run_the_tools_of_make_check() -> None:
    hooks = read(".pre-commit-config.yaml")["repos"][0]["hooks"]
    called = {hook["entry"].split()[0].rpartition("/")[2] for hook in hooks if hook["language"] == "system"}
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    checked = set(re.findall(r"\$\(BIN\)/([\w-]+)", recipe))
    assert called and called <= checked


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_an_issue_form_is_complete(form: Path) -> None:
    """The fields without which the form is not shown."""
    content = yaml.safe_load(form.read_text())
    assert content["name"] and content["description"]
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_containers_run_as_a_user_and_say_how_much_shared_memory_streaming_needs() -> None:
    docker, apptainer = ((ROOT / name).read_text() for name in ("Dockerfile", "apptainer.def"))
    steps = [line.split()[0] for line in docker.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert "USER" in steps[steps.index("RUN") :] and re.search(r"^USER (?!root|0)", docker, re.MULTILINE)
    for text in (docker, apptainer):
        assert "--user" in text and "--shm-size" in text


def test_containers_copy_all_that_building_needs() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    needed = {name.strip("/") for name in included} | {"pyproject.toml", ".gitignore"}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^ +(\S+) /source/", (ROOT / "apptainer.def").read_text(), re.MULTILINE))
    assert needed == kept == copied


def test_text_is_read_and_written_in_a_named_encoding() -> None:
    """Else names of subjects depend on the locale. Ruff's PLW1514 sees only what is evidently a `Path`."""
    unnamed, tried = [], 0
    for file in (file for package in ("data_cache", "preprocess", "train") for file in (ROOT / package).rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            place, _, name = ast.unparse(call.func).rpartition(".")
            binary = place in ("os", "h5a", "h5d", "h5o") or re.search(r"'[rwax+]*b[rwax+]*'", ast.unparse(call))
            if name in ("read_text", "write_text") or (name == "open" and not binary):
                tried += 1
                if "encoding" not in {keyword.arg for keyword in call.keywords}:
                    unnamed.append(f"{file.relative_to(ROOT)}:{call.lineno}")
    assert unnamed == [] and tried >= 15
