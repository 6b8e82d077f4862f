"""Debian 13 in a folder, made by debootstrap and kept between runs, for ``./dev test`` in it."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.environments.kept import cache, kept, locked
from support.paths import ROOT

RELEASE = "trixie"
PACKAGES = "ca-certificates,git,python3"
"""What README asks for; ./dev finds out what else is missing."""

LISTS = Path("/etc/apt")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
INSIDE = "flaccodec"
"""Where the sources lie in the folder."""

# In a mount namespace of its own, so that nothing stays mounted whatever happens.
ENTER = """
set -e
root=$1; shared=$2; shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/tmp"
if [ -n "$shared" ]; then mkdir -p "$root/shared"; mount --bind "$shared" "$root/shared"; fi
exec chroot "$root" "$@"
"""


class CannotHaveError(Exception):
    """What is wanted cannot be had on this machine."""


def mirror():
    """Return where Debian's archive is, as this machine's apt has it.

    Raises
    ------
    CannotHaveError
        apt has none.
    """
    for path in [LISTS / "sources.list", *sorted(LISTS.glob("sources.list.d/*"))]:
        text = path.read_text() if path.is_file() else ""
        lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        found = re.search(r"\bhttps?://\S+/debian/?(?=\s|$)", lines)
        if found:
            return found[0].rstrip("/")
    raise CannotHaveError("apt's sources on this machine name no archive of Debian's")


def check_can_have():
    """Refuse where no folder of this kind can be entered or made.

    Raises
    ------
    CannotHaveError
        Saying why.
    """
    if os.geteuid() != 0:
        raise CannotHaveError("only root can make and enter it")
    entered = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    if not shutil.which("unshare") or subprocess.run(entered, capture_output=True).returncode:
        raise CannotHaveError("this system lets nobody mount anything")


def check_can_make():
    """Refuse where Debian's archive or debootstrap cannot be had."""
    try:
        urllib.request.urlopen(f"{mirror()}/dists/{RELEASE}/InRelease", timeout=60).close()
    except OSError as error:
        raise CannotHaveError(f"{mirror()} cannot be reached ({error})") from error
    if shutil.which("debootstrap") is None:
        if shutil.which("apt-get") is None:
            raise CannotHaveError("debootstrap is missing, and so is apt-get to install it")
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wanted = ["debootstrap", "debian-archive-keyring"]
        for command in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
            subprocess.run(["apt-get", "-qq", *command], check=True, env=variables, stdout=2)


def make(root):
    """Make the folder, in about a minute."""
    check_can_make()
    root.parent.mkdir(parents=True, exist_ok=True)
    options = ["--variant=minbase", f"--include={PACKAGES}"]
    with (root.parent / f"{root.name}.log").open("w") as log:
        command = ["debootstrap", *options, RELEASE, root, mirror()]
        subprocess.run(command, check=True, stdout=log, stderr=log)


class Debian:
    """Debian 13, with what this machine has set up for pip and apt.

    Raises
    ------
    CannotHaveError
        There can be none here.
    """

    def __init__(self, say):
        check_can_have()
        say(f"Debian 13 ({RELEASE}) is in {cache()}; it is made where it is not yet")
        self.say = say
        self.root = kept("debian-13", [RELEASE, PACKAGES], make)

    def _copy_settings(self):
        """Give the folder what this machine needs to reach its network."""
        for name in ("etc/resolv.conf", CERTIFICATES, "etc/pip.conf"):
            if Path("/", name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path("/", name), self.root / name)
        for name in (".config/pip/pip.conf", ".pip/pip.conf"):
            if (Path.home() / name).exists():
                (self.root / "root" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path.home() / name, self.root / "root" / name)
        settings = subprocess.run(
            ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
        )
        chosen = [line for line in settings.stdout.splitlines() if re.search("http|Check", line)]
        (self.root / "etc/apt/apt.conf.d/90host").write_text("\n".join(chosen) + "\n")

    def _copy_sources(self, source):
        """Put the sources in, and take out those of the last time; what was built stays."""
        inside, listing = self.root / INSIDE, self.root / "sources"
        for name in listing.read_text().splitlines() if listing.exists() else ():
            (inside / name).unlink(missing_ok=True)
        names = [str(p.relative_to(source)) for p in sorted(source.rglob("*")) if p.is_file()]
        listing.write_text("\n".join(names))
        shutil.copytree(source, inside, dirs_exist_ok=True)

    def run(self, *command):
        """Run a command in the folder; return whether it succeeded."""
        passed_on = ("PIP_", "SSL_CERT", "REQUESTS_CA", "HTTP_", "HTTPS_", "NO_PROXY", "http")
        variables = {k: v for k, v in os.environ.items() if k.startswith(passed_on)}
        variables |= {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "FLACCODEC_TEST_VERSIONS": "newest",
        }
        shared = ROOT.parent / "shared"
        where = str(shared.resolve()) if shared.is_dir() else ""
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "enter", self.root, where, *command]
        return subprocess.run(list(map(str, enter)), env=variables).returncode == 0

    def run_tests(self, source, tests):
        """Run ``./dev test`` as README has it, with the newest libraries that there are."""
        with locked("debian-13-in-use"):
            self._copy_settings()
            self._copy_sources(source)
            upgrade = (
                ".venv/bin/python -m pip -q install --upgrade --upgrade-strategy eager --group test"
            )
            steps = f'cd /{INSIDE} && ./dev setup && {upgrade} && ./dev test -q "$@"'
            return self.run("bash", "-c", steps, "tests", *tests)


if __name__ == "__main__":
    # A shell in the folder, or a command.
    debian = Debian(lambda message: print(message, file=sys.stderr))
    sys.exit(not debian.run(*(sys.argv[1:] or ["bash"])))
