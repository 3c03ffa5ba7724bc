"""A repository's own settings: as they are at an attempt's base, and once they are trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.houses import CALC, Town, commit, git, shell, town, waiting_for
from muster.domain.errors import Invalid
from muster.own_file import OWN_FILE, parse_own_file
from muster.settings import NEEDS_TRUST, PROJECT_KEYS

GROWS = shell('echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"')


def says(tally: Path, word: str, more: str = "") -> str:
    """A settings file whose test command leaves a word."""
    return f"test_command = \"echo {word} >> '{tally}'\"\n{more}"


def changes(text: str) -> dict[str, object]:
    """An agent that writes the repository's settings file."""
    return shell(f"mkdir -p .muster; cat > {OWN_FILE} <<'END'\n{text}END")


def told(tally: Path) -> list[str]:
    """The words that test commands left, each once."""
    return sorted(set(tally.read_text().split())) if tally.exists() else []


async def trust(place: Town) -> None:
    """Say of the repository as it is that it is trusted."""
    await place.service.add_project({"path": str(place.repo), "trust": True})


async def untrusted(place: Town) -> list[dict[str, object]]:
    """What was told of settings that do not count."""
    return [
        e["payload"]
        for e in (await place.service.list_events(0, type="settings.untrusted"))["items"]
    ]


async def test_an_agents_change_counts_once_a_person_has_merged_it_and_not_before(tmp_path):
    tally = tmp_path / "tally"
    files = {**CALC, OWN_FILE: says(tally, "old")}
    agents = {"changes": changes(says(tally, "new", "max_attempts = 7\n")), "grows": GROWS}
    async with town(tmp_path, agents, files) as place:
        await trust(place)
        task = await place.do("changes", type="chore")
        assert (task["status"], told(tally)) == ("waiting", ["old"])
        assert OWN_FILE in task["reason"]
        shown = await place.service.get_project("repo")
        assert shown["settings"]["max_attempts"] == 3
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        shown = await place.service.get_project("repo")
        assert shown["settings"]["max_attempts"] == 7
        assert (await place.do("grows", type="chore"))["status"] == "completed"
        assert told(tally) == ["new", "old"]
        assert await untrusted(place) == []


async def test_what_others_pushed_waits_until_it_is_trusted_and_is_told(tmp_path):
    tally = tmp_path / "tally"
    files = {**CALC, OWN_FILE: says(tally, "old")}
    async with town(tmp_path, {"grows": GROWS}, files) as place:
        await trust(place)
        pushed = says(tally, "new", 'max_attempts = 7\nautonomy = "manual"\n')
        commit(place.repo, {OWN_FILE: pushed})
        assert (await place.do("grows", type="chore"))["status"] == "completed"
        assert told(tally) == ["old"]
        assert await untrusted(place) == [
            {"file": OWN_FILE, "settings": ["autonomy", "test_command"], "path": str(place.repo)}
        ]
        shown = await place.service.get_project("repo")
        assert (shown["settings"]["max_attempts"], shown["settings"]["autonomy"]) == (7, "full")
        await trust(place)
        shown = await place.service.get_project("repo")
        assert shown["settings"]["autonomy"] == "manual"
        await place.service.change_project("repo", {"settings": {"autonomy": "full"}})
        assert (await place.do("grows", type="chore"))["status"] == "completed"
        assert told(tally) == ["new", "old"]
        assert len(await untrusted(place)) == 1


async def test_a_change_merged_on_top_of_what_nobody_trusted_brings_no_trust_for_that(tmp_path):
    tally = tmp_path / "tally"
    files = {**CALC, OWN_FILE: says(tally, "old")}
    adds = shell(f"echo 'lint_command = \"true\"' >> {OWN_FILE}")
    async with town(tmp_path, {"adds": adds, "grows": GROWS}, files) as place:
        await trust(place)
        commit(place.repo, {OWN_FILE: says(tally, "new")})
        task = await place.do("adds", type="chore")
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        assert (await place.do("grows", type="chore"))["status"] == "completed"
        assert told(tally) == ["old"]
        assert (await place.service.get_project("repo"))["settings"]["lint_command"] is None


async def test_taking_a_setting_away_needs_trust_as_well(tmp_path):
    files = {**CALC, OWN_FILE: 'permissions = "rules"\n'}
    async with town(tmp_path, {"grows": GROWS}, files, max_attempts=1) as place:
        await trust(place)
        (place.repo / OWN_FILE).unlink()
        commit(place.repo, {})
        task = await place.do("grows", type="chore")
        assert "cannot be made to ask" in task["reason"]
        await trust(place)
        assert (await place.do("grows", type="chore"))["status"] == "completed"


async def test_nothing_that_needs_trust_ever_counts_of_a_repository_that_is_not_trusted(tmp_path):
    tally = tmp_path / "tally"
    files = {**CALC, OWN_FILE: says(tally, "old")}
    agents = {"changes": changes(says(tally, "new", "max_attempts = 7\n")), "grows": GROWS}
    async with town(tmp_path, agents, files) as place:
        task = await place.do("changes", type="chore")
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        assert (await place.do("grows", type="chore"))["status"] == "completed"
        assert told(tally) == []
        shown = await place.service.get_project("repo")
        assert shown["settings"]["max_attempts"] == 7
        assert await untrusted(place) == []


async def test_an_attempt_keeps_the_settings_of_its_base_while_the_branch_goes_on(tmp_path):
    tally, go = tmp_path / "tally", tmp_path / "go"
    files = {**CALC, OWN_FILE: says(tally, "old")}
    slow = shell(f"{waiting_for(go)} echo x > slow.txt")
    agents = {"changes": changes(says(tally, "new")), "slow": slow}
    async with town(tmp_path, agents, files, autonomy="confirm") as place:
        await trust(place)
        begun = await place.submit("slow", type="chore")
        await place.until(begun["id"], "executing")
        task = await place.do("changes", type="chore")
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        tally.write_text("")
        go.touch()
        await place.until(begun["id"], "waiting")
        assert told(tally) == ["old"]
        # Merged onto the branch as it is now, it is checked as that branch says.
        tally.write_text("")
        await place.service.merge_task(begun["id"])
        assert (await place.until(begun["id"], "completed", "waiting"))["status"] == "completed"
        assert told(tally) == ["new"]
        assert git(place.repo, "show", "main:slow.txt") == "x"


async def test_a_settings_file_that_is_none_is_told_and_nothing_runs(tmp_path):
    async with town(tmp_path, {"grows": GROWS}, autonomy="confirm") as place:
        await trust(place)
        commit(place.repo, {OWN_FILE: "no_such_setting = 1\n"})
        task = await place.do("grows", type="chore")
        assert task["status"] == "waiting"
        assert OWN_FILE in task["reason"]
        assert task["agents"] == []


@pytest.mark.parametrize(
    "text",
    ["this is no TOML", "no_such_setting = 1", "ports = -1", "agents = 1", "x = '" + "x" * 300_000],
)
def test_what_is_wrong_with_a_settings_file_is_told_with_its_name(text):
    with pytest.raises(Invalid, match=OWN_FILE) as told:
        parse_own_file(text.encode())
    assert told.value.hint


def test_a_version_is_what_needs_trust_however_it_is_written():
    one = parse_own_file(b'test_command = "t"\nports = 1\n[agents.a]\nsince = 2026-01-01\n')
    same = parse_own_file(
        b'# by hand\nports = 2\ntest_command = "t"\nagents.a.since = "2026-01-01"'
    )
    other = parse_own_file(b'test_command = "u"\nports = 1\n[agents.a]\nsince = 2026-01-01\n')
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert same.counting(one.digest, {}) == {"ports": 2, **one.guarded}
    assert other.counting(one.digest, one.counting(one.digest, {})) == {"ports": 1, **one.guarded}
    assert one.counting("", {}) == {"ports": 1}


def test_every_setting_that_can_loosen_something_needs_trust():
    harmless = {
        *("playbook", "max_concurrent", "max_attempts", "max_workers", "timeout_minutes"),
        *("merge_method", "merge_batch", "model_calls_per_hour", "fallback_after", "roll_back"),
        *("check_timeout_minutes", "ports", "model", "git_user_name", "git_user_email"),
    }
    assert set(PROJECT_KEYS) - NEEDS_TRUST == harmless
