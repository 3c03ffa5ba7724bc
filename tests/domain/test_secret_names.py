"""Which names of variables are those of secrets."""

from __future__ import annotations

import pytest

from muster.domain.secret_names import names_secret, secrets_in

SECRET = (
    *("ANTHROPIC_API_KEY", "MUSTER_KEY_LOCALHOST_8080", "GH_TOKEN", "CLIENT_SECRET", "PGPASSWORD"),
    *("AWS_CREDENTIALS", "GPG_PASSPHRASE", "DB_PASS", "mysql_pwd", "GITLAB_PAT", "SENTRY_DSN"),
    *("NPM_CONFIG__AUTH", "SESSION_COOKIE", "CI_JOB_JWT", "OTEL_EXPORTER_OTLP_HEADERS"),
    "DOCKER_AUTH_CONFIG",
)
ORDINARY = (
    *("PATH", "PWD", "OLDPWD", "HOME", "SSH_AUTH_SOCK", "GIT_AUTHOR_NAME", "PASS_COUNT", "PATTERN"),
    *("COMPASS", "BYPASS", "LS_COLORS", "XAUTHORITY", "AUTHOR", "CMAKE_BUILD_PATH"),
)


@pytest.mark.parametrize("name", SECRET)
def test_what_is_kept_under_such_a_name_is_a_secret(name: str):
    assert names_secret(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_what_only_sounds_like_it_is_none(name: str):
    assert not names_secret(name)


def test_short_values_are_left_as_hiding_them_would_blot_out_text():
    assert list(secrets_in({"DB_PASS": "root", "API_TOKEN": "longer-one", "PWD": "/work"})) == [
        "longer-one"
    ]
