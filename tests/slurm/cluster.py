"""A small real Slurm on this machine, from Debian's slurmctld, slurmd, slurm-client and munge, as root:

    python tests/slurm/cluster.py start|status|stop

Two partitions, ``cpu`` and ``gpu``, on three nodes that are all this machine, with stand-in GPUs, without
cgroups, accounting or systemd. Jobs find a cluster through ``/etc/slurm/slurm.conf`` alone, so it is written
there. Another Slurm's or Munge's daemons, keys and files are never touched. ``stop`` ends what ``start``
began, by process id.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

ETC = Path("/etc/slurm")
#: Everything else: sockets, spool folders, logs, devices, and which processes are ours.
HOME = Path("/run/gauntlet-slurm")
MARK = "# Written by tests/slurm/cluster.py; its `stop` removes this file."
#: Node -> its features. Slurm gives jobs to a later node before an earlier one.
NODES = {"one": "left,right", "two": "left", "three": "right"}
CPUS, MEMORY, GPUS = 8, 64_000, 4  # of each node, claimed: stand-ins wait more than they work

SLURM_CONF = """{mark}
ClusterName=gauntlet
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
# A requeued job waits for cred_expire seconds; Slurm's default is two minutes.
AuthInfo=socket={home}/munge.socket,cred_expire=5
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd-%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
# Without cgroups Slurm looks at the memory of its jobs every other second, and kills what uses too much.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=1,sched_interval=3,bf_interval=3
MinJobAge=300
KillWait=15
SlurmdTimeout=6
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
{nodes}
PartitionName=cpu Nodes=one Default=YES MaxTime=60 State=UP
PartitionName=gpu Nodes=one,two,three MaxTime=600 State=UP
"""


class Refused(Exception):
    """Why this machine is left as it is."""


def start() -> None:
    """Raises Refused where this is not root, a package is missing, or a Slurm or Munge is already there."""
    _may_start()
    HOME.mkdir(mode=0o755)
    (HOME / "state").mkdir()
    host = socket.gethostname().partition(".")[0]
    nodes = [
        f"NodeName={name} NodeAddr=127.0.0.1 NodeHostname={host} Port={16820 + number} Feature={features}"
        f" Weight={10 - number} CPUs={CPUS} RealMemory={MEMORY} Gres=gpu:{GPUS}"
        for number, (name, features) in enumerate(NODES.items())
    ]
    conf = SLURM_CONF.format(mark=MARK, host=host, home=HOME, nodes="\n".join(nodes))
    for number in range(GPUS):
        os.mknod(HOME / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null
    files = {
        "slurm.conf": conf,
        "gres.conf": f"{MARK}\nNodeName={','.join(NODES)} Name=gpu File={HOME}/gpu[0-{GPUS - 1}]\n",
    }
    for name, text in files.items():
        (ETC / name).write_text(text)
    try:
        key = HOME / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
        paths |= {"log-file": "munged.log", "seed-file": "munged.seed"}
        _daemon(
            "munged", "munged", "--foreground", "--force", *(f"--{k}={HOME / v}" for k, v in paths.items())
        )
        _wait("munged", lambda: (HOME / "munge.socket").exists())
        controller()
        for name in NODES:
            node(name)
        _wait("the nodes", lambda: set(_states().values()) == {"idle"} and len(_states()) == len(NODES))
    except BaseException:
        stop()
        raise


def controller() -> None:
    """Start slurmctld."""
    _daemon("slurmctld", "slurmctld", "-D")


def node(name: str) -> None:
    """Start the slurmd of a node."""
    (HOME / f"spool-{name}").mkdir(exist_ok=True)
    _daemon(f"slurmd-{name}", "slurmd", "-D", "-N", name)


def stop() -> None:
    """End jobs and daemons of ours, and remove our files. Does nothing where there are none."""
    if not HOME.is_dir():
        return
    if alive("slurmctld"):
        subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=60, check=False)
        _wait("the jobs to end", lambda: not _queue(), fatal=False)
    for name in reversed(list(_pids())):
        end(name)
    for path in (ETC / "slurm.conf", ETC / "gres.conf"):
        if _ours(path):
            path.unlink()
    shutil.rmtree(HOME)


def status() -> str:
    """Which of our daemons run, and the state of the nodes."""
    if not HOME.is_dir():
        return "no cluster of ours on this machine"
    lines = [f"{name}: {'running' if alive(name) else 'ended'}" for name in _pids()]
    return "\n".join([*lines, *(f"node {name}: {state}" for name, state in _states().items())])


def alive(name: str) -> bool:
    pid, begun = _pids().get(name, (0, ""))
    return _begun(pid) == begun != ""


def end(name: str, number: int = signal.SIGTERM, seconds: float = 30) -> None:
    """End one daemon of ours, and see to it that it is gone."""
    pids = _pids()
    pid, begun = pids.pop(name)
    for each in (number, signal.SIGKILL):
        if _begun(pid) != begun:
            break
        os.kill(pid, each)
        _wait(name, lambda: _begun(pid) != begun, seconds, fatal=False)
    _keep(pids)


def _may_start() -> None:
    if os.geteuid() != 0:
        raise Refused("only root can start Slurm's daemons")
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]
    if missing:
        raise Refused(
            f"not installed: {', '.join(missing)} (apt-get install munge slurmctld slurmd slurm-client)"
        )
    if HOME.is_dir():
        if any(alive(name) for name in _pids()):
            raise Refused("already running; stop it first")
        stop()  # left behind by a crash or a reboot
    for name in ("slurm.conf", "gres.conf"):
        if (ETC / name).exists() and not _ours(ETC / name):
            raise Refused(f"{ETC / name} belongs to another Slurm")
    # A Munge of the system is no obstacle: ours has its own key and socket.
    living = [path for path in Path("/proc").glob("[0-9]*") if _begun(int(path.name))]
    running = {name for name in map(_name, living) if name in ("slurmctld", "slurmd")}
    if running:
        raise Refused(f"another {' and '.join(sorted(running))} runs on this machine")


def _ours(path: Path) -> bool:
    return path.is_file() and path.read_text(errors="replace").startswith(MARK)


def _daemon(name: str, *command: str) -> None:
    with open(HOME / f"{name}.out", "ab") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
    _keep({**_pids(), name: (process.pid, _begun(process.pid))})
    time.sleep(0.2)
    if process.poll() is not None:
        raise Refused(f"{command[0]} ended at once: {(HOME / f'{name}.out').read_text()[-800:]}")


def _pids() -> dict[str, tuple[int, str]]:
    """Daemon -> its process id, and when that process began: an id alone may be another's by now."""
    path = HOME / "pids.json"
    return (
        {name: tuple(value) for name, value in json.loads(path.read_text()).items()} if path.is_file() else {}
    )


def _keep(pids: dict[str, tuple[int, str]]) -> None:
    (HOME / "pids.json").write_text(json.dumps(pids))


def _begun(pid: int) -> str:
    """The start time of a living process; nothing of one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _states() -> dict[str, str]:
    done = subprocess.run(
        ["sinfo", "-hN", "-o", "%N %T"], capture_output=True, text=True, timeout=60, check=False
    )
    return dict(line.split() for line in done.stdout.splitlines())


def _queue() -> str:
    done = subprocess.run(["squeue", "-h"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def _wait(what: str, condition, seconds: float = 60, fatal: bool = True) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            if fatal:
                raise Refused(f"waited {seconds:.0f} s for {what}; see the logs in {HOME}")
            return
        time.sleep(0.1)


def main(arguments: list[str]) -> int:
    if arguments not in (["start"], ["stop"], ["status"]):
        print(__doc__)
        return 2
    try:
        if arguments == ["start"]:
            start()
        elif arguments == ["stop"]:
            stop()
        print(status())
    except Refused as refused:
        print(f"cluster: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
