"""Build the C tests for processors of other kinds, and run them under QEMU.

aarch64 has NEON, and is tried with the portable code too; s390x is big-endian. libFLAC for them is Debian's or Ubuntu's, fetched into .cache/cross, not installed.
"""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "cross"
MACHINES = {"aarch64": "arm64", "s390x": "s390x"}
"""What the packages call each."""

CODES = {"aarch64": ["NEON", "portable"], "s390x": ["portable"]}
"""What is run on each: of the most that it has, and of less (FLACCODEC_CPU)."""

PACKAGES = ["libflac-dev", "libflac12", "libogg0"]
FLAGS = ["-std=gnu11", "-O2", "-fopenmp", "-ffp-contract=off", f"-I{ROOT / 'csrc'}"]


def fetch_libflac(machine: str) -> Path:
    """Return the folder that a machine's libFLAC is in."""
    folder = CACHE / machine
    root = folder / "root"
    if root.exists():
        return root
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    options = {
        "APT::Architecture": MACHINES[machine],
        "APT::Sandbox::User": "root",
        "APT::Architectures": MACHINES[machine],
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "cache",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True, cwd=folder)
    subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=folder)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], check=True)
    return (folder / "unpacked").rename(root)


def build(machine: str, program: Path) -> Path:
    """Build a program with the library's sources; return it."""
    root, triplet = fetch_libflac(machine), f"{machine}-linux-gnu"
    libraries = root / "usr" / "lib" / triplet
    binary = CACHE / machine / program.stem
    sources = [str(program), *map(str, sorted((ROOT / "csrc").glob("*.c")))]
    include = f"-I{root / 'usr' / 'include'}"
    libflac = [str(libraries / "libFLAC.a"), str(libraries / "libogg.so.0"), "-lm"]
    compiler = [f"{triplet}-gcc", *FLAGS, include, "-o", str(binary)]
    subprocess.run([*compiler, *sources, *libflac], check=True)
    return binary


def run(machine: str, binary: Path, code: str) -> str:
    """Return the last line that a program printed."""
    triplet = f"{machine}-linux-gnu"
    libraries = fetch_libflac(machine) / "usr" / "lib" / triplet
    emulator = [f"qemu-{machine}", "-L", f"/usr/{triplet}", "-E", f"LD_LIBRARY_PATH={libraries}"]
    if code == "portable":
        emulator += ["-E", "FLACCODEC_CPU=portable"]
    done = subprocess.run([*emulator, str(binary)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def main() -> None:
    for machine, codes in CODES.items():
        for program in sorted((ROOT / "tests" / "c").glob("test_*.c")):
            binary = build(machine, program)
            for code in codes:
                line = run(machine, binary, code)
                print(f"{machine} {code} {program.stem}: {line}", flush=True)


if __name__ == "__main__":
    main()
