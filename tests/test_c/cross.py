"""Build the C tests for processors of other kinds, and run them under QEMU.

What decoding takes in NEON and in portable code is counted afterwards, in instructions: what
time they would take, an emulator does not tell.

aarch64 has NEON, and is tried with the portable code too; s390x is big-endian. libFLAC for
them is Debian's or Ubuntu's, fetched into .cache/cross, not installed.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.paths import ROOT
from support.sources import CSRC, core_sources

CACHE = ROOT / ".cache" / "cross"
MACHINES = {"aarch64": "arm64", "s390x": "s390x"}
"""What the packages call each."""

CODES = {"aarch64": ["NEON", "portable"], "s390x": ["portable"]}
"""What is run on each: of the most that it has, and of less (FLACCODEC_CPU)."""

PACKAGES = ["libflac-dev", "libflac12", "libogg0"]
FLAGS = ["-std=gnu11", "-O2", "-pthread", "-ffp-contract=off", f"-I{CSRC}"]


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


def build(machine: str, program: Path, *flags: str) -> Path:
    """Build a program with the library's sources; return it."""
    root, triplet = fetch_libflac(machine), f"{machine}-linux-gnu"
    libraries = root / "usr" / "lib" / triplet
    binary = CACHE / machine / program.stem
    sources = [str(program), *map(str, core_sources())]
    include = f"-I{root / 'usr' / 'include'}"
    libflac = [str(libraries / "libFLAC.a"), str(libraries / "libogg.so.0"), "-lm"]
    compiler = [f"{triplet}-gcc", *FLAGS, *flags, include, "-o", str(binary)]
    subprocess.run([*compiler, *sources, *libflac], check=True)
    return binary


def emulator(machine: str, code: str) -> list[str]:
    """Return the command that runs a program with this code."""
    triplet = f"{machine}-linux-gnu"
    libraries = fetch_libflac(machine) / "usr" / "lib" / triplet
    command = [f"qemu-{machine}", "-L", f"/usr/{triplet}", "-E", f"LD_LIBRARY_PATH={libraries}"]
    return command if code != "portable" else [*command, "-E", "FLACCODEC_CPU=portable"]


def output(command: list[str]) -> list[str]:
    """Return the lines that a program printed."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def build_counter() -> Path:
    """Build the plugin of QEMU's that counts instructions, for this machine; return it."""
    source, plugin = ROOT / "benchmarks" / "c" / "count_instructions.c", CACHE / "count.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(plugin), str(source)], check=True)
    return plugin


def count(command: list[str]) -> int:
    """Return the instructions of a program that runs under the plugin, which writes to 3."""
    read, write = os.pipe()
    to_pipe = ["sh", "-c", f'exec "$@" 3>&{write}', "sh", *command]
    subprocess.run(to_pipe, check=True, pass_fds=[write])
    os.close(write)
    with open(read) as file:
        return int(file.read())


def count_decoding(machine: str) -> None:
    """Print the instructions that each sample takes, in each code."""
    binary = build(machine, ROOT / "benchmarks" / "c" / "decode_counted.c", "-O3")
    plugin = ["-plugin", str(build_counter())]
    codes = CODES[machine]
    print(f"instructions per sample on {machine}: {', '.join(codes)}")
    for case, line in enumerate(output([*emulator(machine, "portable"), str(binary)])):
        samples, name = line.split("\t")
        taken = []
        for code in codes:
            command = [*emulator(machine, code), *plugin, str(binary), str(case)]
            once, thrice = count([*command, "1"]), count([*command, "3"])
            taken.append(f"{(thrice - once) / 2 / int(samples):6.1f}")
        print(*taken, "", name, flush=True)


def main() -> None:
    for machine, codes in CODES.items():
        for program in sorted((Path(__file__).parent / "c").glob("test_*.c")):
            binary = build(machine, program)
            for code in codes:
                last = output([*emulator(machine, code), str(binary)])[-1]
                print(f"{machine} {code} {program.stem}: {last}", flush=True)
    count_decoding("aarch64")


if __name__ == "__main__":
    main()
