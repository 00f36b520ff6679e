"""Ten thousand odd requests to a hub by schemathesis, made from the hub's own OpenAPI document: none may break it.

    pip install schemathesis
    python benchmarks/fuzz_hub.py                  # 300 examples for each of the routes: some minutes
    python benchmarks/fuzz_hub.py --examples 20

Three principals ask in turn: a manager, a reader, and nobody. Exit code 1 when any answer was a 5xx or the server died.
"""

import argparse
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from prowess.serve.hub import server
from prowess.serve.hub.api import ROUTES
from prowess.serve.hub.service import Hub
from prowess.serve.listen import bound


def serve(plan: server.Plan, port: "multiprocessing.Queue[int]") -> None:
    with bound("127.0.0.1", 0, shared=True) as kept:
        number = kept.getsockname()[1]
        port.put(number)
        server.serve_one(plan, "127.0.0.1", number)


def answers(address: str) -> bool:
    try:
        return urlopen(f"{address}/api/health", timeout=5).status == 200
    except OSError:
        return False


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--examples", type=int, default=300, help="of each route, over all principals")
    parse.add_argument("--seed", type=int, default=0)
    args = parse.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="prowess-fuzz-"))
    hub = Hub.open(folder)
    for name in ("alice", "bob"):
        hub.accounts.add(name, admin=name == "alice")
    hub.accounts.add_project("red", "alice")
    hub.accounts.join("red", "bob", "reader")
    told = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(server.Plan(folder), told))
    process.start()
    address = f"http://127.0.0.1:{told.get(timeout=60)}"
    while not answers(address):
        time.sleep(0.1)
    worst = 0
    try:
        for account in ("alice", "bob", None):
            token = "" if account is None else hub.accounts.issue(account)[1]
            done = subprocess.run(
                [
                    str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/api/openapi.json",
                    "--checks", "not_a_server_error", "--max-examples", str(args.examples // 3), "--phases", "fuzzing",
                    "--mode", "all", "--seed", str(args.seed), "--exclude-operation-id", "end_account",
                    *(["--header", f"Authorization: Bearer {token}"] if token else []),
                ],
                capture_output=True, text=True, check=False, cwd=folder,
            )  # fmt: skip
            worst = max(worst, done.returncode)
            print(f"as {account or 'nobody'}: exit {done.returncode}")
            print("\n".join(done.stdout.splitlines()[-15:]), flush=True)
        print(f"{len(ROUTES)} routes, {'alive' if process.is_alive() else 'DEAD'}")
        return 1 if worst or not process.is_alive() else 0
    finally:
        process.terminate()
        process.join(30)
        hub.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
