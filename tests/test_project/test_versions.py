"""pyproject.toml claims the versions that ``./dev versions`` tests."""

import os
import sys
from importlib.metadata import version

import pytest

from flaccodec.runtime import optional
from support.environments import debian, kept

pytest.importorskip("packaging")  # not beside zarr 2, where the same versions are claimed
from packaging.requirements import Requirement
from packaging.version import Version

from support.environments import versions

PART = os.environ.get("FLACCODEC_TEST_VERSIONS")


def claims():
    """All that pyproject.toml requires: where, and what."""
    table = versions.project()
    for line in table["project"]["dependencies"]:
        yield "dependencies", Requirement(line)
    for extra, lines in table["project"]["optional-dependencies"].items():
        yield from ((extra, Requirement(line)) for line in lines)


def test_each_claimed_bound_of_a_door_is_tested():
    tested = [versions.bounds(extras).items() for extras in versions.EXTRAS.values()]
    for where, requirement in claims():
        if (
            where in {"dependencies", *versions.EXTRAS["oldest"]}
            and requirement.name != "flaccodec"
        ):
            claim = requirement.name, versions.lower_bound(requirement)
            assert any(claim in items for items in tested), claim


def test_the_package_knows_these_bounds():
    extras = versions.project()["project"]["optional-dependencies"]
    named = versions.bounds(set(extras) - {"zarr"}) | {"zarr": versions.bounds(["zarr"])["zarr"]}
    assert {name: optional.oldest()[name] for name in named} == named


def test_groups_claim_no_older_library_than_extras():
    extras = versions.project()["project"]["optional-dependencies"]
    claimed = versions.bounds(extras)
    for name in versions.project()["dependency-groups"]:
        for requirement in map(Requirement, versions.group(name)):
            bound = versions.lower_bound(requirement)
            if bound is not None and requirement.name in claimed:
                assert Version(bound) == Version(claimed[requirement.name]), (name, requirement)


@pytest.mark.skipif(PART not in versions.EXTRAS, reason="./dev versions runs this in each")
def test_the_oldest_are_here():
    for name, bound in versions.bounds(versions.EXTRAS[PART]).items():
        assert Version(version(name)) == Version(bound), name
    assert sys.version_info[:2] == versions.oldest_python()


@pytest.mark.skipif(PART != "newest", reason="./dev versions runs this")
def test_a_later_python_is_here():
    assert sys.version_info[:2] > versions.oldest_python()


# -- what cannot be had is named, and does not pass as tested -------------------------


def run_main(monkeypatch, *arguments, **runs):
    monkeypatch.setattr(versions, "RUNS", runs)
    monkeypatch.setattr(versions, "copy_sources", lambda folder: None)
    monkeypatch.setattr(sys, "argv", ["versions", *arguments])
    return versions.main()


def cannot(*_):
    raise debian.CannotHaveError("there is none")


def test_all_are_run_and_one_that_fails_is_a_failure(monkeypatch, capsys):
    runs = {"oldest": lambda *_: True, "zarr2": lambda *_: False, "newest": cannot}
    assert run_main(monkeypatch, **runs)
    said = capsys.readouterr().err
    assert "oldest: passed" in said
    assert "zarr2: FAILED" in said
    assert "newest: SKIPPED, there is none" in said
    assert not run_main(monkeypatch, "oldest", **runs)


def test_unknown_names_are_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_main(monkeypatch, "older")
    assert "names must be of oldest, zarr2, newest. Got older." in capsys.readouterr().err


def test_without_root_there_is_no_debian(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(debian.CannotHaveError, match="only root"):
        debian.Debian(print)


def test_without_debian_and_another_python_newest_is_left_out(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(versions, "Debian", cannot)
    monkeypatch.setattr(versions, "find_python", lambda minors: None)
    with pytest.raises(debian.CannotHaveError, match=r"no Python 3\.12 or later either"):
        versions.newest(tmp_path, [])
    assert "no Debian 13: there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deb http://one.example/debian trixie main\n", "http://one.example/debian"),
        ("Types: deb\n# http://no.example/debian\nURIs: https://two.example/debian/\n",
         "https://two.example/debian"),
    ],
)  # fmt: skip
def test_the_mirror_is_that_of_this_machine(monkeypatch, tmp_path, text, expected):
    (tmp_path / "sources.list").write_text(text)
    monkeypatch.setattr(debian, "LISTS", tmp_path)
    assert debian.mirror() == expected


@pytest.mark.parametrize(
    "text",
    [
        "deb http://three.example/ubuntu noble main\n",
        "deb http://four.example/debian-security trixie main\n",
    ],
)
def test_without_a_mirror_there_is_no_debian(monkeypatch, tmp_path, text):
    (tmp_path / "sources.list").write_text(text)
    monkeypatch.setattr(debian, "LISTS", tmp_path)
    with pytest.raises(debian.CannotHaveError, match="no archive"):
        debian.mirror()


# -- what is kept --------------------------------------------------------------------


def test_what_is_kept_is_made_once_for_its_contents(monkeypatch, tmp_path):
    monkeypatch.setenv("FLACCODEC_TEST_ENVS", str(tmp_path))
    made = []

    def make(folder):
        folder.mkdir()
        made.append(folder)
        if len(made) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.kept("x", ["a"], make)
    first = kept.kept("x", ["a"], make)
    assert first == kept.kept("x", ["a"], make)
    other = kept.kept("x", ["b"], make)
    assert made == [first, first, other]
    os.utime(first / "done", (0, 0))
    kept.kept("x", ["b"], make)
    assert not first.exists()
    assert other.exists()


def test_where_it_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("FLACCODEC_TEST_ENVS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept.cache() == tmp_path / "flaccodec-tests"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(kept.Path, "home", lambda: tmp_path / "home")
    assert kept.cache() == tmp_path / "home/.cache/flaccodec-tests"
