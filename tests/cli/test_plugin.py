"""Plugins of strangers: found, listed, used for real work; and broken ones keep to themselves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, UNITTEST, git, make_repo
from hostile.servers import NO_PROGRAMS, muster, served, settings
from house.patience import PATIENCE
from muster import __version__

THIRD_PARTY = sorted((Path(__file__).resolve().parents[1] / "third_party").iterdir())
AGENT = """
import json, pathlib, sys
wish = sys.stdin.read()
pathlib.Path("two.py").write_text("def two():\\n    return 2\\n")
for said in ({"say": f"read {len(wish)} characters"}, {"cost_usd": 0.5}, {"done": "two is there"}):
    print(json.dumps(said), flush=True)
"""
BROKEN = {
    "agents": {"away": "no_such_module:Driver", "claude": "strange:Fine", "fine": "strange:Fine",
               "gone": "strange:Nothing", "hollow": "strange:Hollow", "loud": "strange:Loud",
               "quits": "strange_quits:Driver", "text": "strange:TEXT"},
    "runtimes": {"nowhere": "strange:Loud", "shaky": "strange:Shaky"},
    "stores": {"blank": "no_such_module:open_store"},
}  # fmt: skip
STRANGE = """
from muster.agents.command import CommandDriver
from muster.runtimes.process import ProcessRuntime
print("a stranger speaks")
TEXT = "a text"
class Fine(CommandDriver):
    def find(self, environ):
        raise RuntimeError("looked and fell\\x1b[2J")
class Hollow:
    def find(self, environ):
        return None
class Loud:
    def __init__(self):
        raise OSError("no strings\\x1b]0;title\\x07 on\\nme")
class Shaky(ProcessRuntime):
    name = "shaky"
    def available(self):
        raise LookupError("not today")
"""


def found(home: Path, env: dict[str, str | None]) -> dict[tuple[str, str, str], Any]:
    done = muster(home, "plugin", "list", "--json", env=env)
    assert done.code == 0, done.err
    return {(one["kind"], one["name"], one["distribution"]): one for one in done.json["items"]}


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str | None]:
    """The environment of an installation with a distribution that is wrong in every way."""
    folder = tmp_path / "site"
    info = folder / "strange-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[muster.{group}]\n" + "".join(f"{name} = {where}\n" for name, where in ones.items())
            for group, ones in BROKEN.items()
        )
    )
    (folder / "strange.py").write_text(STRANGE)
    (folder / "strange_quits.py").write_text("raise SystemExit('bye')\n")
    return {"PYTHONPATH": str(folder)}


def test_what_is_built_in_is_listed_with_its_source_and_what_it_can(home: Path) -> None:
    items = found(home, {})
    assert all(one["loads"] and one["version"] == __version__ for one in items.values())
    assert items["driver", "claude", "passmuster"]["capabilities"][:2] == ["edited", "fork"]
    assert items["driver", "command", "passmuster"]["capabilities"] == []
    assert items["runtime", "tmux", "passmuster"]["capabilities"] == ["attach"]
    kinds = {"driver", "runtime", "workspace", "store", "engine", "condition", "model", "stage",
             "notifier", "runner", "forge"}  # fmt: skip
    assert {kind for kind, _, _ in items} == kinds
    shown = muster(home, "plugin", "list").out.splitlines()
    assert shown[0].split() == ["STATE", "KIND", "NAME", "FROM", "CAN"]
    assert len(shown) == 1 + len(items)


def test_a_broken_plugin_is_named_with_its_error_and_stops_no_other(
    home: Path, broken: dict[str, str | None]
) -> None:
    items = found(home, broken)
    theirs = {name: one["error"] for (_, name, source), one in items.items() if source == "strange"}
    assert theirs == {
        "away": "ModuleNotFoundError: No module named 'no_such_module'",
        "claude": "the name 'claude' is taken by passmuster",
        "fine": "",
        "gone": "AttributeError: module 'strange' has no attribute 'Nothing'",
        "hollow": "it is no driver: it has no capabilities, launch, name, reader",
        "loud": "OSError: no strings on me",
        "quits": "SystemExit: bye",
        "text": "strange:TEXT cannot be called, so that nothing can be made of it",
        "nowhere": "OSError: no strings on me",
        "shaky": "",
        "blank": "ModuleNotFoundError: No module named 'no_such_module'",
    }
    assert all(one["version"] == "1.5" for key, one in items.items() if key[2] == "strange")
    assert all(one["loads"] for (_, _, source), one in items.items() if source == "passmuster")

    listed = muster(home, "plugin", "list", env=broken)
    assert listed.code == 0
    assert "✗ fail  driver     quits" in listed.out
    assert "a stranger speaks" not in listed.out
    assert "\x1b" not in listed.out
    assert "mend or remove strange" in listed.err


def test_the_doctor_and_the_server_go_on_beside_broken_plugins(
    home: Path, broken: dict[str, str | None]
) -> None:
    told = muster(home, "doctor", "--json", env=broken | NO_PROGRAMS)
    checks = {check["name"]: check for check in told.json["checks"]}
    assert told.code == 1
    assert checks["agent away"]["fix"] == "mend or remove strange"
    assert checks["agent fine"]["text"] == "RuntimeError: looked and fell"
    assert checks["runtime shaky"]["text"] == "LookupError: not today"
    assert checks["runtime process"]["state"] == "ok"
    with served(home, broken) as log:
        assert "the driver 'loud' of strange is left out: OSError: no strings" in log.read_text()
        assert muster(home, "status").code == 0


@pytest.mark.timeout(300)
def test_strangers_plugins_are_installed_and_found_and_do_a_task(
    home: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index",
         "--no-deps", "--no-build-isolation", "--target", site, *THIRD_PARTY],
        check=True,
    )  # fmt: skip
    env = {"PYTHONPATH": str(site)}
    assert ("driver", "jsonl", "muster-jsonl") not in found(home, {})
    items = found(home, env)
    for kind, name in (("condition", "folders"), ("stage", "docs"), ("model", "plain"),
                       ("notifier", "journal")):  # fmt: skip
        assert items[kind, name, f"muster-{name}"]["loads"]
    mine = items["driver", "jsonl", "muster-jsonl"]
    assert (mine["version"], mine["loads"]) == ("0.1.0", True)
    assert mine["capabilities"] == ["reports_cost", "structured"]

    (tmp_path / "agent.py").write_text(AGENT)
    command = f'["{sys.executable}", "-I", "{tmp_path}/agent.py"]'
    journal = tmp_path / "journal"
    settings(
        home,
        f'disk_floor_mb = 1\n[agents.mine]\ndriver = "jsonl"\ncommand = {command}\n'
        f'[notify.mine]\ndriver = "journal"\non = ["task.completed"]\npath = "{journal}"\n',
    )
    repo = make_repo(tmp_path / "repo", CALC)
    with served(home, env):
        init = muster(home, "init", str(repo), "--yes", "--test", UNITTEST)
        assert init.code == 0, init.err
        line = ("--agent", "mine", "--type", "chore", "--autonomy", "full", "--runtime", "process")
        done = muster(home, "do", "Add two", *line, "--wait", "--json", cwd=repo)
        assert done.code == 0, (done.out, done.err)
        agent = muster(home, "agent", "list", "--json").json["items"][0]
        deadline = time.monotonic() + PATIENCE
        while not (journal.exists() and journal.read_text().endswith("\n")):
            assert time.monotonic() < deadline, "nobody was told"
            time.sleep(0.05)
    assert [json.loads(line)["task"] for line in journal.read_text().splitlines()] == ["MU-1"]
    assert done.json["status"] == "completed"
    assert "return 2" in git(repo, "show", "main:two.py")
    assert agent["cost_usd"] == 0.5
