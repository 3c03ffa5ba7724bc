"""The server is killed around each thing that it does at GitHub; each is done there once."""

from __future__ import annotations

from pathlib import Path

from engine.crews import FILES
from engine.houses import git
from forge.loopback_github import TOKEN, running_hub
from walks.cases import WALKS
from walks.field import ground

REPO = "team/app"
CREW = next(walk for walk in WALKS if walk.name == "crew")
POINTS = (
    *("offer.pushed", "offer.made", "report.reviewed", "offer.pushed", "report.reviewed"),
    *("forge.before_merge", "forge.after_merge"),
)


def test_one_pull_request_two_reviews_and_one_merge_come_of_a_walk_that_dies_around_each(
    tmp_path: Path,
) -> None:
    with running_hub(tmp_path / "hub") as hub:
        config = [
            *('forge = "github"', f'github_repo = "{REPO}"', f'github_token = "{TOKEN}"'),
            f'github_api_url = "{hub.url}"',
        ]
        with ground(tmp_path, CREW, config) as place:
            bare = hub.create(REPO, FILES).bare
            git(place.repo, "push", "-q", "--force", str(bare.path), "main")
            first, *dying = POINTS
            place.up(first)
            task_id = place.begin()
            place.until_over(dying)
            came = place.came(task_id)
        assert came.faults(CREW) == []
        assert came.kills == len(POINTS)
        (pull,) = hub.pulls(REPO)
        assert pull["merged"]
        said = [review["body"].splitlines()[0] for review in hub.reviews(REPO)]
        assert said == ["**Changes requested.** Not yet.", "**Approved.** Fine."]
        merges = [r for r in hub.requests if r.method == "PUT" and r.path.endswith("/merge")]
        assert len([r for r in merges if r.status == 200]) == 1
        assert git(place.repo, "rev-parse", "main") == bare.tip("main")
